"""What must fit together of the way to the collector: its address, its certificates, its own header fields."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.settings.addresses import HostPort
from gateway.settings.checks import Facts, Finding, is_loopback
from gateway.settings.upstream import Tls, TlsProblem, tls_context
from gateway.settings.web_address import WebAddress

_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ \t!-~]*[!-~])?)[ \t]*")  # RFC 9110 section 5
_LONGEST = 64 * 1024
_OURS = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding"})


def otlp_findings(facts: Facts) -> Iterator[Finding]:
    """All of them."""
    wanted = facts.settings.otlp
    if not facts.knows("otlp") or wanted.endpoint is None:
        return
    there = WebAddress.parse(wanted.endpoint)
    if there.scheme == "http" and not is_loopback(HostPort.parse(there.host).host) and not wanted.unsafe_plain_http:
        yield (
            ("otlp", "endpoint"),
            "must be https:// (addresses of people travel here); on a network that nobody else can read, say "
            "`unsafe_plain_http: true`",
        )
    try:
        tls_context(Tls(ca_file=wanted.ca_file))
    except TlsProblem as problem:
        yield ("otlp", problem.field), str(problem)
    if wanted.headers_file is not None:
        try:
            header_fields(wanted.headers_file)
        except ValueError as error:
            yield ("otlp", "headers_file"), str(error)


def header_fields(file: Path) -> Mapping[str, str]:
    """Those that the file has.

    Raises:
        ValueError: with what is wrong, and nothing of what it holds.
    """
    found: dict[str, str] = {}
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST).decode("ascii")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("must be ASCII") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        field = _FIELD.fullmatch(line)
        if field is None or field[1].lower() in _OURS:
            raise ValueError(f"line {number} must be `Name: value`, and none of {', '.join(sorted(_OURS))}")
        found[field[1]] = field[2]
    return found

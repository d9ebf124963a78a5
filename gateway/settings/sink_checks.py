"""What must fit together in sinks: their names, their secrets, their files of certificates."""

import base64
import binascii
import re
from collections.abc import Iterator

from gateway.settings.addresses import HostPort
from gateway.settings.checks import Facts, Finding, is_loopback
from gateway.settings.routing import ANY_TENANT
from gateway.settings.sink import (
    EVERY_TYPE,
    AnySink,
    ElasticsearchSink,
    FileSink,
    HttpSink,
    OverTls,
    Sink,
    SplunkSink,
    WebhookSink,
)
from gateway.settings.upstream import Tls, TlsProblem, tls_context
from gateway.settings.web_address import WebAddress

WEBHOOK_PREFIX = "whsec_"
_LEAST_KEY, _MOST_KEY = 24, 64  # bytes, as Standard Webhooks has it
_TOKEN = re.compile(r"[!-~]{1,1000}")


def sink_findings(facts: Facts) -> Iterator[Finding]:
    """All of them."""
    if not facts.knows("sinks", "sink_secrets"):
        return
    yield from _names(facts)
    for index, sink in enumerate(facts.settings.sinks):
        for path, message in (*_choices(sink), *_secret(facts, sink), *_transport(sink)):
            yield ("sinks", index, *path), message
    known = {sink.name for sink in facts.settings.sinks}
    for name in sorted(facts.settings.sink_secrets.keys() - known):
        yield ("sink_secrets", name), "is the name of no sink"


def webhook_keys(secret: str) -> list[bytes]:
    """The keys of ``whsec_…``, or of several of them with blanks in between: each signs.

    Raises:
        ValueError: it is none.
    """
    keys = []
    for one in secret.split():
        if not one.startswith(WEBHOOK_PREFIX):
            raise ValueError
        try:
            key = base64.b64decode(one.removeprefix(WEBHOOK_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError from None
        if not _LEAST_KEY <= len(key) <= _MOST_KEY:
            raise ValueError
        keys.append(key)
    if not keys:
        raise ValueError
    return keys


def _names(facts: Facts) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, sink in enumerate(facts.settings.sinks):
        if sink.name in first:
            yield ("sinks", index, "name"), f"{sink.name} is already the name of sinks[{first[sink.name]}]"
        first.setdefault(sink.name, index)


def _choices(sink: AnySink) -> Iterator[Finding]:
    if ANY_TENANT in sink.tenants and len(sink.tenants) > 1:
        yield ("tenants",), '"*" already means every tenant; name tenants or "*", not both'
    if EVERY_TYPE in sink.types and len(sink.types) > 1:
        yield ("types",), '"*" already means every type; name types or "*", not both'


def _secret(facts: Facts, sink: Sink) -> Iterator[Finding]:
    held = facts.settings.sink_secrets.get(sink.name)
    secret = None if held is None else held.get_secret_value()
    match sink:
        case WebhookSink():
            try:
                webhook_keys(secret or "")
            except ValueError:
                wanted = f"{WEBHOOK_PREFIX} and {_LEAST_KEY} to {_MOST_KEY} bytes in base64"
                yield ("name",), f"needs a secret in `sink_secrets.{sink.name}`: {wanted}"
        case SplunkSink() | ElasticsearchSink():
            if secret is not None and not _TOKEN.fullmatch(secret):
                yield ("name",), f"`sink_secrets.{sink.name}` must be printable ASCII without spaces"
            elif secret is None and (isinstance(sink, SplunkSink) or sink.username is not None):
                yield ("name",), f"needs a secret in `sink_secrets.{sink.name}`"
        case _:
            if secret is not None:
                yield ("name",), f"`sink_secrets.{sink.name}` has no effect: a sink of this kind has no secret"


def _transport(sink: Sink) -> Iterator[Finding]:
    if isinstance(sink, FileSink):
        return
    if isinstance(sink, HttpSink):
        there = WebAddress.parse(sink.url)
        if there.scheme == "http":
            if not is_loopback(HostPort.parse(there.host).host) and not sink.unsafe_plain_http:
                yield (
                    ("url",),
                    "must be https:// (names and addresses of people travel here); on a network that nobody else can "
                    "read, say `unsafe_plain_http: true`",
                )
            for field in ("ca_file", "certificate_file", "key_file"):
                if getattr(sink, field) is not None:
                    yield (field,), "has no effect with http://"
            return
    yield from _tls(sink)


def _tls(sink: OverTls) -> Iterator[Finding]:
    if (sink.certificate_file is None) is not (sink.key_file is None):
        yield ("certificate_file",), "`certificate_file` and `key_file` go together"
        return
    try:
        tls_context(tls_of(sink))
    except TlsProblem as problem:
        yield (problem.field,), str(problem)


def tls_of(sink: OverTls) -> Tls:
    """As upstreams say the same."""
    return Tls(ca_file=sink.ca_file, certificate_file=sink.certificate_file, key_file=sink.key_file)

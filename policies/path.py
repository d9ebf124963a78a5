"""The canonical path: what may be matched against routes, or why not. Nothing is ever repaired.

A path that two servers could read differently is refused, because the gateway would decide about one reading and the
upstream would serve the other. The rules are design rule 8 on top of RFC 3986 section 3.3. The segments are decoded and
serve matching only: what goes to the upstream is the path that came in, byte for byte.
"""

import re
import unicodedata
from typing import Literal

Reason = Literal[
    "no_leading_slash",
    "raw_character",
    "raw_delimiter",
    "raw_non_ascii",
    "control",
    "backslash",
    "path_parameter",
    "empty_segment",
    "dot_segment",
    "bad_escape",
    "bad_utf8",
    "escaped_unreserved",
    "encoded_delimiter",
    "double_encoding",
]

# RFC 3986 pchar, without escapes and without ";". Possessive, so that a long path costs one pass whatever it holds.
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@]++)*+/?+")
_WITH_ESCAPES = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*+")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_DELIMITERS = frozenset(b"/#?")
_DOTS = frozenset({".", ".."})


class NotCanonical(ValueError):
    """The path can be read in more than one way. ``reason`` is a stable code for the audit log."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def canonical(raw_path: bytes, *, keep_encoded_slash: bool = False) -> tuple[str, ...]:
    """The decoded segments of ``raw_path``, which has no query; ``/`` is ``()`` and a trailing slash a last ``""``.

    ``keep_encoded_slash`` admits ``%2f``, ``%23`` and ``%3f`` as data inside a segment; the path must then still be
    canonical for a server that takes an encoded slash for a slash. Raises ``NotCanonical``.
    """
    # "/." is the only way into a dot segment that needs no escape; the pattern takes everything else that is plain.
    if b"/." not in raw_path and _PLAIN.fullmatch(raw_path) and raw_path:
        return tuple(raw_path.decode("ascii").split("/")[1:]) if raw_path != b"/" else ()
    return _examine(raw_path, keep_encoded_slash)


def _examine(raw_path: bytes, keep_encoded_slash: bool) -> tuple[str, ...]:
    """The long way, for paths with escapes or dots and for finding out what is wrong."""
    if not raw_path.startswith(b"/"):
        raise NotCanonical("no_leading_slash")
    if not _WITH_ESCAPES.fullmatch(raw_path):
        raise NotCanonical(_what_is_raw(raw_path))
    if raw_path == b"/":
        return ()
    segments = tuple(_segment(raw, keep_encoded_slash) for raw in raw_path[1:].split(b"/"))
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        _check_parts(segment.split("/") if "/" in segment else [segment], last=last)
    return segments


def _check_parts(parts: list[str], *, last: bool) -> None:
    """Empty and dot segments, also of the path that a server sees which decodes ``%2f`` before it splits."""
    for place, part in enumerate(parts):
        if not part and not (last and place == len(parts) - 1):
            raise NotCanonical("empty_segment")
        # "..%3bx" is a dot segment to a server that decodes first and cuts parameters then.
        if part.partition(";")[0] in _DOTS:
            raise NotCanonical("dot_segment")


def _segment(raw: bytes, keep_encoded_slash: bool) -> str:
    """One segment decoded, after its escapes were found harmless."""
    if b"%" not in raw:
        return raw.decode("ascii")
    for escape in _ESCAPE.finditer(raw):
        byte = int(escape[1], 16)
        if byte in _UNRESERVED:
            raise NotCanonical("escaped_unreserved" if byte != 0x2E else "dot_segment")
        if byte < 0x20 or byte == 0x7F:
            raise NotCanonical("control")
        if byte == 0x5C:
            raise NotCanonical("backslash")
        if byte in _DELIMITERS and not keep_encoded_slash:
            raise NotCanonical("encoded_delimiter")
        after = raw[escape.end() : escape.end() + 2]
        if byte == 0x25 and len(after) == 2 and after[0] in _HEX and after[1] in _HEX:
            raise NotCanonical("double_encoding")
    try:
        decoded = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), raw).decode("utf-8")
    except UnicodeDecodeError:
        raise NotCanonical("bad_utf8") from None
    if any(unicodedata.category(sign) == "Cc" for sign in decoded):
        raise NotCanonical("control")  # U+0080 to U+009F, which are two bytes in UTF-8
    return decoded


def _what_is_raw(raw_path: bytes) -> Reason:
    """Which rule the unescaped bytes of the path break first."""
    for place, byte in enumerate(raw_path):
        if byte > 0x7F:
            return "raw_non_ascii"
        if byte < 0x20 or byte == 0x7F:
            return "control"
        match chr(byte):
            case "\\":
                return "backslash"
            case ";":
                return "path_parameter"
            case "#" | "?":
                return "raw_delimiter"
            case "%" if not re.match(rb"[0-9A-Fa-f]{2}", raw_path[place + 1 : place + 3]):
                return "bad_escape"
            case " " | '"' | "<" | ">" | "[" | "]" | "^" | "`" | "{" | "|" | "}":
                return "raw_character"
    raise AssertionError("only called for a path with something raw in it")

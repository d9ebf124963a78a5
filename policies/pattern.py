"""Path patterns: literals, ``{param}`` and ``{param:kind}`` segments, and ``**`` at the end, over the segments of
``policies.path``.
"""

from dataclasses import dataclass

from policies.path import NotCanonical, canonical
from policies.segment import NARROW, Kind

_MOST_SEGMENTS = 64
_KINDS = {kind.value: kind for kind in Kind if kind is not Kind.ANY}

Part = str | Kind
Specificity = tuple[int, int, int, int, bool]


class BadPattern(ValueError):
    """A path pattern, or another part of a route, that means nothing."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``/orders/{id}/**`` in parts: literals, the kind of each ``{param}``, and whether ``**`` ends it."""

    parts: tuple[Part, ...]
    names: tuple[tuple[int, str], ...]
    deep: bool

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Raises ``BadPattern``. Literals may be written decoded or escaped; they match decoded segments."""
        deep = text.endswith("/**")
        body = text[:-3] if deep else text
        if not body and not deep:
            raise BadPattern("a path pattern begins with /")
        parts: list[Part] = []
        names: list[tuple[int, str]] = []
        if body.count("/") > _MOST_SEGMENTS:
            raise BadPattern(f"a path pattern has {_MOST_SEGMENTS} segments at most")
        for place, segment in enumerate(_split(body)):
            if segment.startswith("{") and segment.endswith("}"):
                name, colon, kind = segment[1:-1].partition(":")
                if colon and kind not in _KINDS:
                    raise BadPattern(
                        f"{segment} in {text}: a parameter is {', '.join(_KINDS)}, or anything without `:`"
                    )
                if not name.isidentifier() or any(name == known for _, known in names):
                    raise BadPattern(f"{segment} in {text} is not the name of a parameter, or is there twice")
                names.append((place, name))
                parts.append(_KINDS[kind] if colon else Kind.ANY)
            elif any(sign in segment for sign in "*{}"):
                raise BadPattern(f"{text}: a parameter is a whole segment, and ** stands at the end only")
            else:
                parts.append(_literal(segment, text))
        if "" in (parts if deep else parts[:-1]):
            raise BadPattern(f"{text}: an empty segment can never be part of a canonical path")
        return cls(tuple(parts), tuple(names), deep)

    @property
    def specificity(self) -> Specificity:
        """Larger is more specific: literals, then ``int`` and ``uuid``, then ``slug``, then any, then no ``**``."""
        kinds = [part for part in self.parts if isinstance(part, Kind)]
        narrow = sum(kind in NARROW for kind in kinds)
        slugs = kinds.count(Kind.SLUG)
        return len(self.parts) - len(kinds), narrow, slugs, len(kinds) - narrow - slugs, not self.deep


def _split(body: str) -> list[str]:
    if not body or body == "/":
        return []
    if not body.startswith("/"):
        raise BadPattern(f"{body}: a path pattern begins with /")
    return body[1:].split("/")


def _literal(segment: str, text: str) -> str:
    if segment == "":
        return ""  # a trailing slash, or else found by the caller
    escaped = "".join(sign if sign.isascii() else "".join(f"%{byte:02X}" for byte in sign.encode()) for sign in segment)
    try:
        return canonical(b"/" + escaped.encode("ascii"))[0]
    except NotCanonical as refused:
        raise BadPattern(f"{text}: {segment} can never be part of a canonical path ({refused.reason})") from None

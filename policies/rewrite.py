"""The path that an upstream is asked for, where it is another than the one that was matched: without a prefix, or put
together anew.

It works on the raw segments of a path that is canonical already, and only leaves some out, moves whole ones and writes
literals in their one canonical spelling. So what is kept is kept byte for byte, escapes too, and what comes out is
canonical again: the checks of ``policies.path`` are about single segments, but for the empty one behind a last slash
(also an encoded one, ``a%2f``), and what may stand last in the path stays last.
"""

from dataclasses import dataclass
from urllib.parse import quote

from policies.pattern import BadPattern, Pattern
from policies.segment import Kind

_PLAIN = "-._~!$&'()*+,=:@"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``pieces`` are written segments, and places of kept ones; all segments from ``rest`` on follow, where it is one.

    ``prefix`` is what was taken away from the front, as ``X-Forwarded-Prefix`` says it.
    """

    pieces: tuple[bytes | int, ...]
    rest: int | None
    prefix: bytes | None = None

    @classmethod
    def strip(cls, pattern: Pattern, prefix: str) -> "Rewrite":
        """Without the segments of ``prefix``, which every path of the pattern begins with. Raises ``BadPattern``."""
        parsed = Pattern.parse(prefix)
        parts = parsed.parts
        if parsed.deep or parsed.names or not parts or not parts[-1]:
            raise BadPattern(f"{prefix} is not a prefix: write literal segments, as in /orders, without a slash behind")
        if pattern.parts[: len(parts)] != parts:
            raise BadPattern(f"{prefix} is not what every path of the route begins with")
        written = b"".join(b"/" + _written(part) for part in parts if isinstance(part, str))
        return cls((), len(parts), written)

    @classmethod
    def to(cls, pattern: Pattern, target: str, *, keeps: bool) -> "Rewrite":
        """As ``target``, a pattern of literals and of the route's own parameters. Raises ``BadPattern``.

        ``keeps``: the route takes an encoded slash for data.
        """
        parsed = Pattern.parse(target)
        if parsed.deep != pattern.deep:
            raise BadPattern(
                f"{target} must end with /** as the path does, or what is below would be lost"
                if pattern.deep
                else f"{target} must not end with /**: the path has nothing below"
            )
        places = {name: place for place, name in pattern.names}
        named = dict(parsed.names)
        pieces: list[bytes | int] = []
        for place, part in enumerate(parsed.parts):
            if isinstance(part, str):
                pieces.append(_written(part))
                continue
            if part is not Kind.ANY:
                raise BadPattern(f"{target}: the kind of {named[place]} stands in the path; write {{{named[place]}}}")
            if named[place] not in places:
                raise BadPattern(f"{target} names {{{named[place]}}}, which the path does not have")
            pieces.append(places[named[place]])
        last = len(pattern.parts) - 1
        if keeps and last in pieces[:-1]:
            # A server that decodes "a%2f" first sees a last slash in it, and before more an empty segment.
            raise BadPattern(f"{target}: with `encoded_slash: keep` the last parameter of the path must stay the last")
        return cls(tuple(pieces), len(pattern.parts) if pattern.deep else None)

    def apply(self, raw_path: bytes) -> bytes:
        """The path for the upstream. ``raw_path`` is canonical, and the pattern fits it."""
        segments = raw_path[1:].split(b"/") if raw_path != b"/" else []
        kept = [piece if isinstance(piece, bytes) else segments[piece] for piece in self.pieces]
        if self.rest is not None:
            kept += segments[self.rest :]
        return b"/" + b"/".join(kept)


def _written(literal: str) -> bytes:
    """A decoded literal in its canonical spelling."""
    return quote(literal, safe=_PLAIN).encode("ascii")

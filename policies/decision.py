"""The three answers that a policy can give. They are matched exhaustively, never truth-tested."""

from dataclasses import dataclass
from typing import NoReturn


class _NeverTruthTested:
    """A refusal must not pass an ``if`` by being an object: asking a decision for its truth is a bug."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision is matched (match/case), never truth-tested")


@dataclass(frozen=True, slots=True)
class Allow(_NeverTruthTested):
    """It may happen."""


@dataclass(frozen=True, slots=True)
class Deny(_NeverTruthTested):
    """It may not, and nothing that this caller can do now would change that.

    ``reason`` is a stable snake_case code; ``scopes`` are the scopes that are missing (RFC 6750 section 3).
    """

    reason: str
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Challenge(_NeverTruthTested):
    """It may, once the caller has authenticated (``token_missing``) or has stepped up (RFC 9470 section 3).

    ``acr_values`` are the authentication contexts that would do, best known first; ``max_age`` is in seconds.
    """

    reason: str
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None


Decision = Allow | Deny | Challenge

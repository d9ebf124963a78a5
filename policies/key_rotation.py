"""The life of a signing key: next, active, retiring, retired, or revoked; and when it moves on (design: a rotation
fails no request).

A key is in the JWKS for longer than any cache before it signs, and until its last token has expired after it stops.
Owns the times and the allowed moves. Not the keys themselves (tenants/jose.py), nor their rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PUBLISH_FOR = timedelta(hours=24)
"""Common clients keep a JWKS for a day, whatever ``Cache-Control`` says."""
SIGNING_LAG = timedelta(minutes=2)
"""How long a process that has not heard of the rotation may go on signing with the old key, and clocks may differ,
taken together.
"""
MAX_JWKS_AGE = timedelta(hours=1)
"""A revoked key should leave the caches that do listen to ``Cache-Control`` soon."""


class KeyState(StrEnum):
    """A key's state as stored."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


_MOVES = {
    KeyState.NEXT: frozenset({KeyState.ACTIVE, KeyState.REVOKED}),
    KeyState.ACTIVE: frozenset({KeyState.RETIRING, KeyState.REVOKED}),
    KeyState.RETIRING: frozenset({KeyState.RETIRED, KeyState.REVOKED}),
    KeyState.RETIRED: frozenset({KeyState.REVOKED}),
    KeyState.REVOKED: frozenset[KeyState](),
}


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key and its times (aware UTC). ``promote_at`` is when a scheduled rotation is due, ``stopped_at`` when it
    stopped to sign.
    """

    kid: str
    state: KeyState
    published_at: datetime
    promote_at: datetime | None = None
    stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromoteNow:
    """``kid`` becomes active and ``retires`` (None where no key signs) becomes retiring; a new next key is to be made.

    ``early`` warns that clients may not know the key yet: it was published for less than the rule asks.
    """

    kid: str
    retires: str | None
    early: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """``kid`` is to be promoted at ``at``, when it has been published long enough."""

    kid: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NothingToPromote:
    """There is no next key. One is to be made first."""


Promotion = PromoteNow | Schedule | NothingToPromote


def may_become(state: KeyState, target: KeyState) -> bool:
    """Whether a key in ``state`` may move to ``target``. No key comes back: retired and revoked never sign again."""
    return target in _MOVES[state]


def signing(keys: Iterable[KeyFacts]) -> KeyFacts | None:
    """The key that signs. Raises ValueError for two active keys, which the database does not allow."""
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    if len(active) > 1:
        raise ValueError("a tenant has one active key")
    return active[0] if active else None


def promote(
    keys: Iterable[KeyFacts], *, now: datetime, publish_for: timedelta = PUBLISH_FOR, force: bool = False
) -> Promotion:
    """What ``key rotate`` does: the longest-published next key is promoted once it was in the JWKS for ``publish_for``,
    else scheduled.

    ``force`` promotes at once. So does a tenant without an active key (its first, or the old one was revoked): nobody
    could log in otherwise, and a client that does not know the key yet has no other to trust.
    """
    known = tuple(keys)
    candidates = sorted(
        (key for key in known if key.state is KeyState.NEXT), key=lambda key: (key.published_at, key.kid)
    )
    if not candidates:
        return NothingToPromote()
    candidate, active = candidates[0], signing(known)
    ready_at = candidate.published_at + publish_for
    if force or active is None or ready_at <= now:
        return PromoteNow(candidate.kid, retires=active.kid if active else None, early=ready_at > now)
    return Schedule(candidate.kid, at=ready_at)


def outlived(activated_at: datetime | None, *, signs_for: timedelta | None, now: datetime) -> bool:
    """Whether an active key has signed for as long as it may, so that the next one is to take over by itself. Never
    where ``signs_for`` is None: then keys are rotated by hand.
    """
    return signs_for is not None and activated_at is not None and activated_at + signs_for <= now


def due(keys: Iterable[KeyFacts], *, now: datetime) -> str | None:
    """The kid of a next key whose scheduled promotion is due, the earliest first."""
    times = sorted(
        (key.promote_at, key.kid)
        for key in keys
        if key.state is KeyState.NEXT and key.promote_at is not None and key.promote_at <= now
    )
    return times[0][1] if times else None


def retire_at(stopped_at: datetime, *, token_lifetime: timedelta, signing_lag: timedelta = SIGNING_LAG) -> datetime:
    """When the last token of a key that stopped at ``stopped_at`` has expired. ``token_lifetime`` is the longest that
    the tenant issued.
    """
    return stopped_at + token_lifetime + signing_lag


def published(key: KeyFacts, *, now: datetime, token_lifetime: timedelta) -> bool:
    """Whether the key is in the JWKS, and so whether a token of it is accepted. A retiring key whose stop is unknown is
    not.
    """
    match key.state:
        case KeyState.NEXT | KeyState.ACTIVE:
            return True
        case KeyState.RETIRING:
            return key.stopped_at is not None and now < retire_at(key.stopped_at, token_lifetime=token_lifetime)
        case KeyState.RETIRED | KeyState.REVOKED:
            return False


def to_retire(keys: Iterable[KeyFacts], *, now: datetime, token_lifetime: timedelta) -> tuple[str, ...]:
    """The kids of the retiring keys that may be retired now, and their private halves erased."""
    return tuple(
        key.kid
        for key in keys
        if key.state is KeyState.RETIRING and not published(key, now=now, token_lifetime=token_lifetime)
    )


def jwks_max_age(publish_for: timedelta = PUBLISH_FOR) -> int:
    """Seconds for the JWKS's ``Cache-Control: max-age``: at most half of what a next key is published for, so that
    every cache that keeps to it has the key well before its first token comes.
    """
    return int(min(publish_for / 2, MAX_JWKS_AGE).total_seconds())

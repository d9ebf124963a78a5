"""What a presented refresh token earns: rotation, its successor once more, or the end of its family (RFC 6749 section
6, RFC 9700 section 4.14.2).

Owns the order of the checks. Not the storage (consumption is one conditional UPDATE there), nor whether user, client
and tenant are still active, which every grant re-checks.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from policies import scope as scopes
from policies.decision import Allow, Deny
from policies.dpop import holder


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """A stored refresh token and its family. A family is every token that descends from one login; ``granted`` is what
    that login granted. ``bound_to`` is the thumbprint of the key that who spends it has to hold (RFC 9449 section 5).
    """

    client_id: str
    granted: frozenset[str]
    idle_expires_at: datetime
    family_expires_at: datetime
    family_revoked: bool
    session_ended: bool
    consumed_at: datetime | None = None
    successor_kept: bool = False
    successor_consumed: bool = False
    bound_to: str | None = None


@dataclass(frozen=True, slots=True)
class Rotate:
    """Consume this token and issue a successor; the access token gets ``scopes``. The successor keeps the original
    grant.
    """

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReplaySuccessor:
    """Give the successor that exists again; the access token gets ``scopes``."""

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reuse:
    """The token was spent before: it or its successor is in two hands. Revoke the family, answer ``invalid_grant``."""


RefreshDecision = Rotate | ReplaySuccessor | Reuse | Deny


def decide(
    token: RefreshFacts,
    *,
    client_id: str,
    asked: str | None,
    permitted: frozenset[str],
    now: datetime,
    grace: timedelta,
    shown: str | None = None,
) -> RefreshDecision:
    """What the token earns when ``client_id`` presents it and asks for the scopes ``asked`` (None or empty: the whole
    grant).

    ``grace`` is how long the successor of a consumed token is given again, for an answer that was lost on the way.
    ``permitted`` is what client and user may have today; a scope taken from either since the login is not granted
    again. ``shown`` is the thumbprint of the key that the request proved to hold. Denials: ``client_mismatch``,
    ``dpop_key_mismatch``, ``family_revoked``, ``session_ended``, ``family_expired``, ``refresh_expired``; and two that
    are not ``invalid_grant`` to the client: ``dpop_proof_missing`` and ``invalid_scope``.
    """
    if token.client_id != client_id:
        # The family is left alone: who holds neither the client's secret nor its name should not be able to end its
        # sessions.
        return Deny("client_mismatch")
    match holder(token.bound_to, shown):
        case Allow():
            pass
        case Deny() as denied:  # the family is left alone here as well: this is what the binding is for
            return denied
    if token.family_revoked:
        return Deny("family_revoked")
    if token.session_ended:
        return Deny("session_ended")
    if now >= token.family_expires_at:
        return Deny("family_expired")
    if token.consumed_at is not None and not _answer_may_be_lost(token, token.consumed_at, now, grace):
        # Before the token's own expiry: the family may live on in a successor, and an old token that comes back still
        # tells of a theft.
        return Reuse()
    if now >= token.idle_expires_at:
        return Deny("refresh_expired")
    narrowed = _narrow(token.granted, asked, permitted)
    if isinstance(narrowed, Deny):
        return narrowed
    return Rotate(narrowed) if token.consumed_at is None else ReplaySuccessor(narrowed)


def _answer_may_be_lost(token: RefreshFacts, consumed_at: datetime, now: datetime, grace: timedelta) -> bool:
    """Only until the successor is used: who used it has had the answer."""
    return token.successor_kept and not token.successor_consumed and abs(now - consumed_at) <= grace


def _narrow(granted: frozenset[str], asked: str | None, permitted: frozenset[str]) -> frozenset[str] | Deny:
    wanted = granted if not asked else scopes.parse(asked)
    if isinstance(wanted, Deny):
        return wanted
    if not wanted <= granted:
        return Deny("invalid_scope", scopes=wanted - granted)
    narrowed = wanted & permitted
    if asked and not narrowed:
        return Deny("invalid_scope", scopes=wanted)
    return narrowed

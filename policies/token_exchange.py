"""What a client gets for a person's access token: a narrower one, for another API, that says who acts (RFC 8693).

Owns the order of the checks, and the claim ``act``. Not whether the tokens are valid, not whether user and session are
still there, not which APIs the client may ask for: those are facts of other places.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from policies import scope as scopes
from policies.decision import Allow, Deny
from policies.principal import Principal
from policies.token_holder import may_hold

MOST_ACTORS = 4
"""How long the chain of ``act`` may get (RFC 8693 section 4.1): services that call services, not without end."""

_NEVER_PASSED_ON = frozenset({"offline_access"})  # there is no refresh token to be had here


@dataclass(frozen=True, slots=True)
class ExchangingClient:
    """The client that asks. ``audiences`` are the APIs that it stands for, and may ask for; ``issuers`` all that its
    tenant has and ever had. ``first_party``: it is the tenant's own.
    """

    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    issuers: frozenset[str]
    first_party: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the new token says. ``expires_at`` is in seconds since the epoch: no token of these lives longer.

    ``bindings`` are the thumbprints of the keys that have to be proved, all of them (RFC 9449 section 6).
    """

    scopes: frozenset[str]
    actor: Mapping[str, Any]
    expires_at: int
    bindings: frozenset[str]


def decide(
    subject: Principal,
    actor: Principal | None,
    *,
    client: ExchangingClient,
    asked: str | None,
    audiences: Collection[str],
    user_scopes: frozenset[str] | None,
) -> Exchange | Deny:
    """What ``client`` gets for the token of ``subject``. Without a token of an ``actor`` it acts itself.

    ``asked`` None or empty: all that there is. ``audiences`` are the APIs that the new token would be for, of those
    that the client may ask for. ``user_scopes`` are what the subject may have today; None where it is no user. Denials:
    ``subject_token_foreign`` (see ``may_hold``), ``actor_token_foreign`` (issued to another client: it proves nothing
    of who acts in this one), ``actor_token_delegated`` (who acts, acts for themselves), ``actor_chain_too_long``; and
    ``invalid_scope`` and ``invalid_target``, which are not the token's fault.
    """
    match may_hold(subject, client_id=client.client_id, audiences=client.audiences, issuers=client.issuers):
        case Deny():
            return Deny("subject_token_foreign")
        case Allow():
            pass
    if actor is not None and actor.client_id != client.client_id:
        return Deny("actor_token_foreign")
    if actor is not None and "act" in actor.claims:
        return Deny("actor_token_delegated")
    if user_scopes is not None and not _agreed(subject, client, audiences):
        return Deny("invalid_target")
    chain: dict[str, Any] = {"sub": client.client_id if actor is None else actor.subject}
    before = subject.claims.get("act")
    if before is not None:
        if _length(before) >= MOST_ACTORS:
            return Deny("actor_chain_too_long")
        chain["act"] = before
    presented = [subject] if actor is None else [subject, actor]
    narrowed = _narrow(subject, client, asked, user_scopes)
    if isinstance(narrowed, Deny):
        return narrowed
    return Exchange(
        narrowed,
        chain,
        min(principal.expires_at for principal in presented),
        frozenset(key for principal in presented for key in _binding(principal)),
    )


def _agreed(subject: Principal, client: ExchangingClient, audiences: Collection[str]) -> bool:
    """A client that is not the tenant's own got its token by what a person agreed to, API by API: it makes none for
    another out of it. What it got as the API of somebody else's token is for its tenant to say, by ``audiences``.
    """
    return client.first_party or subject.client_id != client.client_id or subject.audiences >= set(audiences)


def _narrow(
    subject: Principal, client: ExchangingClient, asked: str | None, user_scopes: frozenset[str] | None
) -> frozenset[str] | Deny:
    permitted = (subject.scopes & client.scopes) - _NEVER_PASSED_ON
    if user_scopes is not None:
        permitted &= user_scopes
    if not asked:
        return permitted
    wanted = scopes.parse(asked)
    if isinstance(wanted, Deny):
        return wanted
    # Not cut silently as at a login: a service that asks for more than it was handed should hear of it.
    return wanted if wanted <= permitted else Deny("invalid_scope", scopes=wanted - permitted)


def _length(act: object) -> int:
    """Of a chain of actors. One that is no chain is as long as can be: nobody could extend it."""
    length = 0
    while isinstance(act, Mapping):
        length += 1
        if "act" not in act:
            return length
        act = act["act"]
    return MOST_ACTORS


def _binding(principal: Principal) -> frozenset[str]:
    """The key that the token is bound to. A confirmation that is not understood can be proved by nobody."""
    if "cnf" not in principal.claims:
        return frozenset()
    confirmation = principal.claims["cnf"]
    thumbprint = confirmation.get("jkt") if isinstance(confirmation, Mapping) else None
    return frozenset({thumbprint if isinstance(thumbprint, str) else ""})

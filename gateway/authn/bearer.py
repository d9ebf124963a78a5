"""Who sends this access token (RFC 6750, RFC 9068 section 4): a Principal, or the reason why the token is none.

The order is fixed: form; the issuer chooses the tenant; (tenant, kid) chooses the key; type, algorithm and expiry; only
then the signature; then every claim; then revocation. A token that passed is remembered and not verified again until
something changed; so is one that its key did not sign, which spares that key's arithmetic and none of the other
questions. Synchronous and without I/O. Owns that order. Not which audience or scope a route wants
(policies/access.py), nor what an API key is good for (api_key.py): it tells one by its prefix, and hands it on.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import NoReturn, Protocol
from uuid import UUID

from gateway.authn.token_table import MAX_FORGED_BYTES, MAX_FORGED_ENTRIES, Forged, Remembered, TokenTable
from policies import claims
from policies.principal import Principal
from tenants.api_key import PREFIX
from tenants.jose import UnusableKey, VerifyingKey
from tenants.unverified_token import Malformed, UnverifiedToken, parse_unverified


@dataclass(frozen=True, slots=True)
class InvalidToken:
    """The token does not count. ``reason`` is a stable snake_case code; ``detail`` (a claim's name, what was wrong with
    the form) is for logs. ``proved_tenant`` is the tenant whose key signed it, where that was verified; what a token
    only says of itself is nobody's to write into a tenant's log. ``api_key_id`` is of an API key that was known.

    Reasons: token_malformed, issuer_unknown, tenant_suspended, token_type, token_header, key_id_missing, key_unknown,
    alg_mismatch, token_expired, signature_invalid, key_unusable, claims_invalid, token_not_yet_valid, token_revoked;
    of API keys api_key_malformed, api_key_unknown, api_key_revoked, api_key_expired, tenant_suspended.
    """

    reason: str
    detail: str = ""
    proved_tenant: UUID | None = None
    api_key_id: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a refusal is matched, never truth-tested")


class Tenant(Protocol):
    """What is read of a tenant here."""

    @property
    def id(self) -> UUID: ...
    @property
    def slug(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def until(self) -> datetime | None: ...


class Snapshot(Protocol):
    """The state in memory that tokens are checked against. ``version`` differs after anything in it changed."""

    version: int

    def by_issuer(self, issuer: str, /) -> Tenant | None:
        """The tenant that issues as ``issuer``; ``until`` says how long still, where that is no longer its own."""

    def verifying_key(self, tenant_id: UUID, kid: str, /) -> VerifyingKey | None:
        """A published key of this tenant."""

    def revoked(self, principal: Principal, /) -> bool:
        """Whether token, session, client or subject were revoked."""


_API_KEY = PREFIX.encode("ascii")
_KEY_UNKNOWN = InvalidToken("key_unknown", "kid")
_NOT_SIGNED = InvalidToken("signature_invalid")
_EXPIRED = InvalidToken("token_expired", "exp")


class Bearer:
    """Authenticates access tokens. ``clock`` gives seconds since the epoch, ``leeway`` is in seconds. ``api_keys``
    authenticates API keys, where those may stand in a token's place. ``forged`` remembers tokens that were refused for
    their signature, by default so many.
    """

    __slots__ = ("_api_keys", "_clock", "_forged", "_leeway", "_recall", "_snapshot", "_table")

    def __init__(
        self,
        snapshot: Snapshot,
        table: TokenTable[Remembered],
        clock: Callable[[], float],
        *,
        forged: TokenTable[Forged] | None = None,
        leeway: int = 0,
        api_keys: Callable[[bytes], Principal | InvalidToken] | None = None,
    ) -> None:
        self._snapshot, self._table, self._clock, self._leeway = snapshot, table, clock, leeway
        self._api_keys = api_keys
        if forged is None:
            forged = TokenTable(max_entries=MAX_FORGED_ENTRIES, max_bytes=MAX_FORGED_BYTES)
        self._forged = forged
        self._recall = table.get

    def authenticate(self, token: bytes) -> Principal | InvalidToken:
        """Who sends it. Never raises for anything that a client can send."""
        entry = self._recall(token)
        if entry is None:
            if self._api_keys is not None and token.startswith(_API_KEY):
                return self._api_keys(token)
            forged = self._forged.get(token)
            return self._verify(token) if forged is None else self._refuse_again(token, forged)
        if entry.expires_at <= (now := self._clock()):
            self._table.forget(token)
            if entry.principal.expires_at + self._leeway > now:  # over is the time of its issuer, if it still is
                return self._verify(token)
            return InvalidToken("token_expired", "exp", entry.principal.tenant_id)
        if entry.version != self._snapshot.version:
            return self._recheck(entry)
        return entry.principal

    def _recheck(self, entry: Remembered) -> Principal | InvalidToken:
        """Something changed since: does the token still stand? A refusal leaves the entry where it is: it costs less
        than to verify again, and a tenant that is resumed has its tokens back.
        """
        version = self._snapshot.version
        principal = entry.principal
        tenant = still_stands(self._snapshot, principal, entry.issuer, entry.kid)
        if isinstance(tenant, InvalidToken):
            return tenant
        entry.version, entry.expires_at = version, self._end(principal, tenant)
        return principal

    def _refuse_again(self, token: bytes, forged: Forged) -> Principal | InvalidToken:
        """What ``_verify`` would answer, in its order, without asking the same key about the same bytes once more. By
        any other key it is verified anew. Form, header and what ``exp`` looks like are in the bytes, and were right.
        """
        tenant = _tenant(self._snapshot, forged.issuer)
        if isinstance(tenant, InvalidToken):
            return tenant
        key = self._snapshot.verifying_key(tenant.id, forged.kid)
        if key is None:
            return _KEY_UNKNOWN
        if key is not forged.key:
            return self._verify(token)
        if forged.expires_at + self._leeway <= self._clock():
            return _EXPIRED
        return _NOT_SIGNED

    def _verify(self, token: bytes) -> Principal | InvalidToken:
        version = self._snapshot.version
        unverified = parse_unverified(token)
        if isinstance(unverified, Malformed):
            return InvalidToken("token_malformed", unverified.reason)
        header = claims.header(unverified.header)
        if isinstance(header, claims.Refused):
            return InvalidToken(header.reason, header.claim)
        issuer = unverified.claims.get("iss")
        if not isinstance(issuer, str):
            return InvalidToken("issuer_unknown", "iss")
        tenant = _tenant(self._snapshot, issuer)
        if isinstance(tenant, InvalidToken):
            return tenant
        key = self._snapshot.verifying_key(tenant.id, header.kid)
        if key is None:
            return _KEY_UNKNOWN
        if key.alg != header.alg:
            return InvalidToken("alg_mismatch", "alg")
        now = self._clock()
        unproved = claims.before_signature(unverified.claims, now=now, leeway=self._leeway)
        if isinstance(unproved, claims.Refused):
            return InvalidToken(unproved.reason, unproved.claim)
        principal = self._prove(unverified, key, tenant, now)
        if isinstance(principal, InvalidToken):
            if principal is _NOT_SIGNED:
                self._forged.remember(token, Forged(issuer, header.kid, key, unproved.expires_at))
            return principal
        if self._snapshot.revoked(principal):
            return InvalidToken("token_revoked", "", tenant.id)
        self._table.remember(token, Remembered(principal, self._end(principal, tenant), issuer, header.kid, version))
        return principal

    def _end(self, principal: Principal, tenant: Tenant) -> float:
        """When a token stops to count by itself: when it expires, or its issuer's overlap is over."""
        end = principal.expires_at + self._leeway
        return end if tenant.until is None else min(end, tenant.until.timestamp())

    def _prove(
        self, unverified: UnverifiedToken, key: VerifyingKey, tenant: Tenant, now: float
    ) -> Principal | InvalidToken:
        try:
            signed = key.verify(unverified)
        except UnusableKey as error:  # the stored key is damaged: nothing can be proved with it
            return InvalidToken("key_unusable", str(error))
        if signed is None:
            return _NOT_SIGNED
        access = claims.access_claims(signed, now=now, leeway=self._leeway)
        if isinstance(access, claims.Refused):
            return InvalidToken(access.reason, access.claim, tenant.id)
        return principal_of(access, tenant.id, tenant.slug)


def still_stands(snapshot: Snapshot, principal: Principal, issuer: str, kid: str) -> Tenant | InvalidToken:
    """The tenant of a token that was verified once, by this key, if all that it went by is as it was; when it expires
    is not looked at.
    """
    tenant = _tenant(snapshot, issuer)
    if isinstance(tenant, InvalidToken):
        return replace(tenant, proved_tenant=principal.tenant_id)
    if tenant.id != principal.tenant_id or tenant.slug != principal.tenant:
        return InvalidToken("issuer_unknown", "iss", principal.tenant_id)
    if snapshot.verifying_key(tenant.id, kid) is None:
        return InvalidToken("key_unknown", "kid", tenant.id)
    if snapshot.revoked(principal):
        return InvalidToken("token_revoked", "", tenant.id)
    return tenant


def _tenant(snapshot: Snapshot, issuer: str) -> Tenant | InvalidToken:
    tenant = snapshot.by_issuer(issuer)
    if tenant is None:
        return InvalidToken("issuer_unknown", "iss")
    if not tenant.active:
        return InvalidToken("tenant_suspended", "iss")
    return tenant


def principal_of(access: claims.AccessClaims, tenant_id: UUID, slug: str) -> Principal:
    """Who a token of this tenant speaks of, whose claims were all checked."""
    return Principal(
        tenant_id=tenant_id,
        tenant=slug,
        subject=access.subject,
        client_id=access.client_id,
        scopes=access.scopes,
        audiences=access.audiences,
        token_id=access.token_id,
        issued_at=access.issued_at,
        expires_at=access.expires_at,
        session_id=access.session_id,
        auth_time=access.auth_time,
        acr=access.acr,
        amr=access.amr,
        confirmation=access.confirmation,
        # Names are the same in every token: shared, they spare a fifth of what a remembered token takes.
        claims=MappingProxyType({sys.intern(name): value for name, value in access.all.items()}),
    )

"""Who calls an API: the principal of a request's access token, a bearer's (RFC 6750) or bound to a key (RFC 9449), or
of an API key, which is sent like a bearer's token.

Owns what a request presents, and what is refused of it. Not whether a token or a key counts (authn/bearer.py,
authn/api_key.py), whether a proof is good (authn/dpop.py), or what the principal may do.
"""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from gateway.authn.dpop import TOKEN_BOUND, TOKEN_NOT_BOUND, Possession, Proof
from gateway.proxy import refusal
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies.dpop import NonceWanted
from policies.principal import Principal


class InvalidToken(Protocol):
    """What ``authenticate`` answers for a token that will not do; ``reason`` is for the audit log only."""

    @property
    def reason(self) -> str: ...

    @property
    def proved_tenant(self) -> UUID | None:
        """Whose key signed it, where that was verified: whose log it belongs to."""

    @property
    def api_key_id(self) -> str | None:
        """Which API key it is, where it is one that is known."""


Authenticate = Callable[[bytes], Principal | InvalidToken]


class Callers:
    """``authenticate`` verifies an access token, ``possession`` that its sender holds the key which it is bound to."""

    def __init__(self, authenticate: Authenticate, possession: Possession) -> None:
        self._authenticate = authenticate
        self._possession = possession

    def identify(self, request: ProxiedRequest) -> Refusal | None:
        """Find the principal, or why there is none. Other schemes are no token; a query never is one."""
        value = request.inbound.authorization
        if value is None:
            return refusal.token_missing()
        scheme = value[:7].lower()
        if scheme != b"bearer ":
            return self._prove(request, value[5:]) if scheme.startswith(b"dpop ") else refusal.token_missing()
        outcome = self._authenticate(value[7:].lstrip(b" "))
        if isinstance(outcome, Principal):
            if outcome.confirmation is None:
                request.principal = outcome
                return None
            request.proved_tenant = outcome.tenant_id  # whoever sends it: not its principal
            return refusal.invalid_token(TOKEN_BOUND, "DPoP")
        request.proved_tenant, request.api_key_id = outcome.proved_tenant, outcome.api_key_id
        return refusal.invalid_token(outcome.reason)

    def _prove(self, request: ProxiedRequest, value: bytes) -> Refusal | None:
        request.scheme = "DPoP"
        token = value.lstrip(b" ")
        principal = self._authenticate(token)
        if not isinstance(principal, Principal):
            request.proved_tenant, request.api_key_id = principal.proved_tenant, principal.api_key_id
            return refusal.invalid_token(principal.reason, "DPoP")
        request.proved_tenant = principal.tenant_id
        if principal.api_key_id is not None:  # answered as one that is unknown, so without a nonce
            request.api_key_id = principal.api_key_id
            return refusal.invalid_token("api_key_not_bearer", "DPoP")
        request.nonce = self._possession.nonce(principal.tenant_id)
        proved = self._possession.prove(
            principal, token, request.inbound.proofs, method=request.scope["method"], url=request.url
        )
        if isinstance(proved, Proof):
            request.principal = principal
            return None
        if isinstance(proved, NonceWanted):
            return refusal.use_dpop_nonce()
        if proved.reason == TOKEN_NOT_BOUND:
            return refusal.invalid_token(proved.reason, "DPoP")
        return refusal.invalid_proof(proved.reason)

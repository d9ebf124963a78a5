"""Who administers: the principal of a request's access token, a bearer's (RFC 6750) or bound to a key (RFC 9449).

Owns what a request presents, and that the token is one for administration. Whether it counts is authn/bearer.py's,
whether a proof is good authn/dpop.py's, what the principal may do endpoint.py's. An API key is no token here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.admin.errors import (
    AuthorizationRepeated,
    InvalidProof,
    InvalidToken,
    RevocationsStale,
    TokenMissing,
    UseNonce,
)
from gateway.authn import bearer
from gateway.authn.dpop import TOKEN_BOUND, TOKEN_NOT_BOUND, Possession, Proof
from gateway.header_fields import Fields
from policies.administration import AUDIENCE
from policies.dpop import NonceWanted
from policies.principal import Principal

Authenticate = Callable[[bytes], Principal | bearer.InvalidToken]


@dataclass(frozen=True, slots=True)
class Caller:
    """``scheme`` is how the token came."""

    principal: Principal
    scheme: str


class Callers:
    """``authenticate`` is a ``Bearer``'s that takes no API keys; ``feed_fresh`` says whether revocations are heard."""

    def __init__(self, authenticate: Authenticate, possession: Possession, feed_fresh: Callable[[], bool]) -> None:
        self._authenticate = authenticate
        self._possession = possession
        self._feed_fresh = feed_fresh

    def identify(self, fields: Fields, *, method: str, url: str) -> Caller:
        """Who asks. ``url`` is the request's own, without its query, as a proof names it.

        Raises:
            AuthorizationRepeated: more than one field.
            TokenMissing, InvalidToken, InvalidProof, UseNonce: no token, or one that does not count for this.
            RevocationsStale: nobody can say what is still valid.
        """
        found = fields.all(b"authorization")
        if len(found) > 1:
            raise AuthorizationRepeated(reason="authorization_repeated")
        scheme, _, token = found[0].partition(" ") if found else ("", "", "")
        token = token.strip(" ")
        if scheme.lower() not in ("bearer", "dpop") or not token:
            raise TokenMissing(reason="token_missing")
        bound = scheme.lower() == "dpop"
        shown = "DPoP" if bound else "Bearer"
        presented = token.encode("latin-1")
        principal = self._authenticate(presented)
        if not isinstance(principal, Principal):
            raise InvalidToken(reason=principal.reason, detail=principal.detail, scheme=shown)
        if bound:
            self._prove(principal, presented, fields, method=method, url=url)
        elif principal.confirmation is not None:
            raise InvalidToken(reason=TOKEN_BOUND, scheme="DPoP")
        if AUDIENCE not in principal.audiences:
            raise InvalidToken(reason="audience_mismatch", scheme=shown)
        if not self._feed_fresh():
            raise RevocationsStale(reason="revocations_stale", retry_after=1)
        return Caller(principal, shown)

    def _prove(self, principal: Principal, token: bytes, fields: Fields, *, method: str, url: str) -> None:
        proofs = [proof.encode("latin-1") for proof in fields.all(b"dpop")]
        proved = self._possession.prove(principal, token, proofs, method=method, url=url)
        if isinstance(proved, NonceWanted):
            raise UseNonce(nonce=self._possession.nonce(principal.tenant_id))
        if not isinstance(proved, Proof):
            refused = InvalidToken if proved.reason == TOKEN_NOT_BOUND else InvalidProof
            raise refused(reason=proved.reason, scheme="DPoP")

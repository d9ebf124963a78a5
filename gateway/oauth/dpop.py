"""DPoP proofs at the endpoints that clients call (RFC 9449): the key that what is issued gets bound to (section 5), and
that of a bound access token which comes to an endpoint of the issuer itself (section 7).

A proof for a token counts once for all processes, in the database; one that comes with a token, once in each process,
as at the proxy. Owns how both are refused. Not what makes a proof good (gateway/authn/dpop.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.authn.dpop import TOKEN_BOUND, TOKEN_NOT_BOUND, Possession, Proof, ProofCheck
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import (
    InvalidBoundToken,
    InvalidDpopProof,
    PossessionNeedsNonce,
    PossessionUnproved,
    UseDpopNonce,
)
from gateway.oauth.presented_token import PresentedToken
from gateway.tenancy import step
from policies.dpop import NonceWanted
from policies.principal import Principal
from tenants.store import Store


class DpopProofs:
    """Asks for the proof of a call."""

    def __init__(self, check: ProofCheck, store: Store) -> None:
        self._check = check
        self._store = store

    async def prove(self, call: Call) -> str | None:
        """The thumbprint of the key that the caller proved to hold; None where no proof was sent.

        Raises:
            InvalidDpopProof: two of them, or one that is malformed, for another request or time, or used before.
            UseDpopNonce: it has no nonce of ours that still counts.
        """
        if not call.proofs:
            return None
        proof = self._check.check(_fields(call), call.tenant.id, method=call.method, url=call.url)
        if isinstance(proof, NonceWanted):
            raise UseDpopNonce(nonce=self._check.nonce(call.tenant.id))
        if not isinstance(proof, Proof):
            raise InvalidDpopProof(reason=proof.reason)
        expires_at = datetime.fromtimestamp(proof.expires_at, UTC)
        async with step(self._store, call.tenant.id) as store:
            first_time = await store.seen_ids.first_time("dpop", proof.identifier, expires_at)
        if not first_time:
            raise InvalidDpopProof(reason="dpop_replayed")
        return proof.thumbprint


def require_possession(possession: Possession, call: Call, presented: PresentedToken, principal: Principal) -> None:
    """Whoever sends a bound token proves to hold its key; one that is not bound comes as a bearer's.

    Raises:
        InvalidBoundToken: a bound token as a bearer's, or the reverse.
        PossessionUnproved: the proof is missing, malformed, for another request or token, or was used before.
        PossessionNeedsNonce: it has no nonce of ours that still counts.
    """
    if presented.scheme != "dpop":
        if principal.confirmation is not None:
            raise InvalidBoundToken(reason=TOKEN_BOUND)
        return
    proved = possession.prove(
        principal, presented.unverified_token.encode(), _fields(call), method=call.method, url=call.url
    )
    if isinstance(proved, NonceWanted):
        raise PossessionNeedsNonce(nonce=possession.nonce(call.tenant.id))
    if not isinstance(proved, Proof):
        refused = InvalidBoundToken if proved.reason == TOKEN_NOT_BOUND else PossessionUnproved
        raise refused(reason=proved.reason)


def _fields(call: Call) -> Sequence[bytes]:
    return [proof.encode("latin-1") for proof in call.proofs]

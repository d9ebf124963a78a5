"""Proofs of possession (RFC 9449): whether a request comes from who holds the key; for the token endpoint, the proxy,
and whatever else takes access tokens.

    one field -> form -> header -> claims, nonce last -> thumbprint -> signature -> first time

What costs most comes last, and nothing is remembered of a proof that is not good. Synchronous and without I/O. Owns
that order, and which proofs were seen here. Not what a proof has to say (policies/dpop.py).
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.authn.dpop_nonce import DpopNonces
from policies import dpop
from policies.decision import Deny
from policies.dpop import Invalid, NonceWanted
from policies.principal import Principal
from tenants.dpop_proof import parse, proof_key
from tenants.unverified_token import Malformed

ALGORITHMS = " ".join(dpop.ALGORITHMS)
"""As they stand in a challenge (RFC 9449 section 7.1)."""
MAX_SEEN = 100_000
TOKEN_BOUND = "token_is_bound"  # noqa: S105 - a reason, not a password
"""For a bound token that came as a bearer's (RFC 9449 section 7.2)."""
TOKEN_NOT_BOUND = "token_not_bound"  # noqa: S105 - a reason, not a password

_BYTES = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """A good proof: whose key, and what it is known by until ``expires_at`` (epoch seconds), when it is refused anyway.

    The identifier is of the key's own, so that no two clients' can meet.
    """

    thumbprint: str
    identifier: str
    expires_at: float


class ProofCheck:
    """Checks proofs. ``clock`` gives seconds since the epoch."""

    def __init__(self, nonces: DpopNonces, clock: Callable[[], float]) -> None:
        self._nonces = nonces
        self._clock = clock

    def nonce(self, tenant_id: UUID) -> str:
        """The nonce that the next proof is to carry, for the field DPoP-Nonce."""
        return self._nonces.current(tenant_id)

    def check(
        self,
        fields: Sequence[bytes],
        tenant_id: UUID,
        *,
        method: str,
        url: str,
        access_token: bytes | None = None,
        bound_to: str | None = None,
    ) -> Proof | Invalid | NonceWanted:
        """The proof of a request, from its DPoP ``fields``. That it was not seen before is still to be asked.

        ``access_token`` is the one that came with it, ``bound_to`` the key that it is bound to. Reasons beside those of
        ``policies.dpop``: ``dpop_proof_missing``, ``dpop_repeated``, ``dpop_malformed``, ``dpop_key_mismatch``,
        ``dpop_signature``.
        """
        if len(fields) != 1:
            return Invalid("dpop_repeated" if fields else "dpop_proof_missing")
        unverified = parse(fields[0])
        if isinstance(unverified, Malformed):
            return Invalid("dpop_malformed")
        header = dpop.header(unverified.header)
        if isinstance(header, Invalid):
            return header
        claims = dpop.claims(
            unverified.claims,
            method=method,
            url=url,
            now=self._clock(),
            nonces=self._nonces.accepted(tenant_id),
            token_hash=None if access_token is None else _token_hash(access_token),
        )
        if not isinstance(claims, dpop.ProofClaims):
            return claims
        key = proof_key(header.alg, header.jwk)
        if key is None:
            return Invalid("dpop_key")
        match dpop.holder(bound_to, key.thumbprint):
            case Deny(reason):
                return Invalid(reason)
        if key.verify(unverified) is None:
            return Invalid("dpop_signature")
        return Proof(key.thumbprint, f"{key.thumbprint}.{claims.token_id}", claims.expires_at)


class SeenProofs:
    """The proofs that were used in this process, until each has expired; at most ``most`` of them, the oldest go first.

    Only good proofs come in, so it takes a holder of a token to push one out, and what was pushed out still is of one
    key, for one token, method and URL, and good for two minutes. Another process has a table of its own.
    """

    def __init__(self, *, most: int = MAX_SEEN) -> None:
        if most < 1:
            raise ValueError("a table of proofs holds something")
        self._most = most
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def first_time(self, proof: Proof, now: float) -> bool:
        """Whether it is; from then on it is not."""
        key = hashlib.sha256(proof.identifier.encode()).digest()[:_BYTES]
        seen = self._seen
        if key in seen and seen.pop(key) > now:
            seen[key] = proof.expires_at
            return False
        while seen and (len(seen) >= self._most or next(iter(seen.values())) <= now):
            seen.popitem(last=False)
        seen[key] = proof.expires_at
        return True


class Possession:
    """Whether who sends an access token may: the key of a bound one has to be proved, at each request."""

    def __init__(self, proofs: ProofCheck, seen: SeenProofs, clock: Callable[[], float]) -> None:
        self._proofs = proofs
        self._seen = seen
        self._clock = clock

    def nonce(self, tenant_id: UUID) -> str:
        """As of ``ProofCheck``."""
        return self._proofs.nonce(tenant_id)

    def prove(
        self, principal: Principal, access_token: bytes, fields: Sequence[bytes], *, method: str, url: str
    ) -> Proof | Invalid | NonceWanted:
        """The proof that came with a token of the scheme DPoP, seen for the first time.

        Reasons beside those of ``ProofCheck``: ``token_not_bound``, which is the token's fault and not the proof's, and
        ``dpop_replayed``.
        """
        if principal.confirmation is None:
            return Invalid(TOKEN_NOT_BOUND)
        proof = self._proofs.check(
            fields,
            principal.tenant_id,
            method=method,
            url=url,
            access_token=access_token,
            bound_to=principal.confirmation,
        )
        if isinstance(proof, Proof) and not self._seen.first_time(proof, self._clock()):
            return Invalid("dpop_replayed")
        return proof


def _token_hash(access_token: bytes) -> str:
    """``ath`` (RFC 9449 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(access_token).digest()).rstrip(b"=").decode("ascii")

"""An ID token that comes back as a hint (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout 1.0 section 2).

It is ours if this tenant issued it under a key that is still published; whether it is over does not matter. It says who
was logged in, and proves nothing about who sends it. Owns that reading. Not what a hint is good for
(policies/logout.py).
"""

from uuid import UUID

from gateway.authn.bearer import Snapshot
from policies import claims
from policies.decision import Deny
from policies.logout import Hint
from tenants.jose import UnusableKey
from tenants.unverified_token import Malformed, UnverifiedToken, parse_unverified


class IdTokenHints:
    """Reads hints by the keys that ``snapshot`` has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def read(self, unverified_hint: str, tenant_id: UUID) -> Hint | Deny:
        """What it says, if it is an ID token of this tenant.

        Reasons: hint_malformed, hint_not_an_id_token, hint_issuer, hint_key_unknown, hint_signature, hint_claims.
        """
        unverified = parse_unverified(unverified_hint.encode("utf-8", "replace"))
        if isinstance(unverified, Malformed):
            return Deny("hint_malformed")
        header = claims.header(unverified.header, types=claims.ID_TOKEN_TYPES)
        if isinstance(header, claims.Refused):
            return Deny("hint_not_an_id_token" if header.claim == "typ" else "hint_malformed")
        issuer = unverified.claims.get("iss")
        tenant = self._snapshot.by_issuer(issuer) if isinstance(issuer, str) else None
        if tenant is None or tenant.id != tenant_id:
            return Deny("hint_issuer")
        return self._prove(unverified, header, tenant_id)

    def _prove(self, unverified: UnverifiedToken, header: claims.TokenHeader, tenant_id: UUID) -> Hint | Deny:
        key = self._snapshot.verifying_key(tenant_id, header.kid)
        if key is None or key.alg != header.alg:
            return Deny("hint_key_unknown")
        try:
            signed = key.verify(unverified)
        except UnusableKey:
            return Deny("hint_key_unknown")
        if signed is None:
            return Deny("hint_signature")
        subject, client_id, session_id = (signed.get(name) for name in ("sub", "aud", "sid"))
        if not isinstance(subject, str) or not isinstance(client_id, str) or not isinstance(session_id, str | None):
            return Deny("hint_claims")
        return Hint(subject, client_id, session_id)

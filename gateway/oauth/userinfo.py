"""``/userinfo`` (OpenID Connect Core section 5.3): what the granted scopes tell of the user, to who holds the token.

Any access token of this tenant will do that was granted ``openid`` and stands for a user, whatever API it is for. It is
verified as the proxy verifies it (gateway/authn/bearer.py). Owns the order of the checks. Not the claims (claims.py).
"""

from uuid import UUID

from fastapi.responses import JSONResponse
from starlette.responses import Response

from gateway.authn.bearer import InvalidToken
from gateway.authn.dpop import Possession
from gateway.oauth.claims import user_claims
from gateway.oauth.dpop import require_possession
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import InsufficientScope, InvalidBearer, InvalidBoundToken
from gateway.oauth.presented_token import presented_token
from gateway.oauth.verified_token import PresentedTokens
from gateway.tenancy import step
from policies.principal import Principal
from tenants.issuers import Issuers
from tenants.store import Store


class UserInfo:
    """The endpoint of every tenant."""

    def __init__(self, store: Store, issuers: Issuers, tokens: PresentedTokens, possession: Possession) -> None:
        self._store = store
        self._issuers = issuers
        self._tokens = tokens
        self._possession = possession

    async def answer(self, call: Call) -> Response:
        """The claims of the token's user.

        Raises:
            InvalidRequest: more than one token, or one in the query.
            InvalidBearer: none, or one that does not count here; its user or client is gone or disabled.
            InvalidDpopProof, UseDpopNonce: it is bound to a key, and the proof of that will not do.
            InsufficientScope: it was not granted ``openid``.
            Overloaded: revocations are not heard, so no token can be judged.
        """
        principal = self._principal(call)
        if "openid" not in principal.scopes:
            raise InsufficientScope(scope="openid")
        if principal.session_id is None:
            raise InvalidBearer(reason="subject_is_no_user")
        issuer = await self._issuers.get(call.tenant.id, under=call.tenant.issuer)
        client_id = principal.client_id
        registered = None if issuer is None or client_id is None else issuer.clients.get(client_id)
        if issuer is None or registered is None or not registered.client.active:
            raise InvalidBearer(reason="client_disabled")
        async with step(self._store, call.tenant.id, read_only=True) as store:
            user = await store.users.get(UUID(principal.subject))
            if user is None or not user.active:
                raise InvalidBearer(reason="user_disabled")
            claims = await user_claims(store, issuer.tenant, registered.client, user, scopes=principal.scopes)
        return JSONResponse(claims)

    def _principal(self, call: Call) -> Principal:
        presented = presented_token(call)
        principal = self._tokens.verify(presented.unverified_token, call.tenant.id)
        if isinstance(principal, InvalidToken):
            refused = InvalidBoundToken if presented.scheme == "dpop" else InvalidBearer
            raise refused(reason=principal.reason, detail=principal.detail)
        require_possession(self._possession, call, presented, principal)
        return principal

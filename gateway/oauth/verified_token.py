"""Access tokens that come back to their issuer, to be looked into, taken back or exchanged.

They are judged in the very way in which the proxy judges them (authn/bearer.py), so that no two places of one service
answer differently about one token. Owns the tenant's border beside that. Not which client a token concerns.
"""

from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import UUID

from gateway.audit import Observation
from gateway.authn.bearer import InvalidToken
from gateway.errors import Overloaded
from gateway.oauth.client_auth import Recognised
from gateway.oauth.endpoint import Call
from policies.principal import Principal


class PresentedTokens:
    """``authenticate`` is a ``Bearer``'s; ``feed_fresh`` says whether revocations are heard (rule 5)."""

    def __init__(
        self, authenticate: Callable[[bytes], Principal | InvalidToken], feed_fresh: Callable[[], bool]
    ) -> None:
        self._authenticate = authenticate
        self._feed_fresh = feed_fresh

    def verify(self, unverified_token: str, tenant_id: UUID) -> Principal | InvalidToken:
        """Whose token it is, if it is a valid access token of this tenant; else why not, by ``InvalidToken``'s reasons
        or ``tenant_mismatch``.

        Raises:
            Overloaded: revocations were not heard for too long, so that nobody can say what is still valid.
        """
        if not self._feed_fresh():
            raise Overloaded(reason="revocations_stale", retry_after=1)
        found = self._authenticate(unverified_token.encode())
        if isinstance(found, Principal) and found.tenant_id != tenant_id:
            return InvalidToken("tenant_mismatch", "iss", found.tenant_id)
        return found


def refused_token(call: Call, found: Recognised, reason: str) -> Observation:
    """What is told of a token that did not count, though the answer says nothing of it."""
    return Observation(
        outcome="refused",
        event="token",
        reason=reason,
        status=200,
        route=None,
        method=call.method,
        path=urlsplit(call.url).path,
        request_id=call.context.request_id,
        address=str(call.context.address),
        tenant_id=call.tenant.id,
        client_id=found.client.client_id,
    )

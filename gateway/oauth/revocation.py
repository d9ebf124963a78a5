"""Token revocation (RFC 7009): a client takes back what it was given.

A refresh token goes with its whole family, and with the access tokens that its client got by that session; an access
token goes alone. A token that is no token, another client's or another tenant's is answered like one that was revoked
(section 2.2): nothing happens to it, and nobody can ask here whether it counts.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from fastapi import Response

from gateway.audit import Observation
from gateway.authn.bearer import InvalidToken
from gateway.oauth.client_auth import ClientAuth, Recognised
from gateway.oauth.endpoint import Call
from gateway.oauth.verified_token import PresentedTokens, refused_token
from gateway.tenancy import step
from policies.decision import Deny
from tenants import refresh_tokens
from tenants.audit_event import Event
from tenants.refresh_tokens import RefreshToken
from tenants.revocations import of_grant
from tenants.store import Store

_EVENT = "token.revoked"


class Revocation:
    """The endpoint ``/revoke``."""

    def __init__(
        self,
        store: Store,
        clients: ClientAuth,
        tokens: PresentedTokens,
        observe: Callable[[Observation], None],
    ) -> None:
        self._store = store
        self._clients = clients
        self._tokens = tokens
        self._observe = observe

    async def revoke(self, call: Call) -> Response:
        """Take the token back. ``token_type_hint`` changes nothing: a token's own form says what it is.

        Raises:
            InvalidClient: a client that did not prove itself. A public one has nothing to prove but must be named.
            InvalidRequest: no token, or no client was sent.
            Overloaded: revocations were not heard for too long.
        """
        found = await self._clients.recognise(call)
        token = call.form.required("token")
        if token.startswith(refresh_tokens.PREFIX):
            refused = await self._refresh_token(call, found, token)
        else:
            refused = await self._access_token(call, found, token)
        if refused is not None:
            self._observe(refused_token(call, found, refused.reason))
        return Response(status_code=200)

    async def _access_token(self, call: Call, found: Recognised, unverified_token: str) -> Deny | None:
        principal = self._tokens.verify(unverified_token, call.tenant.id)
        if isinstance(principal, InvalidToken):
            return Deny(principal.reason)
        if principal.client_id != found.client.client_id:
            return Deny("token_foreign")
        async with step(self._store, call.tenant.id) as store:
            expires_at = datetime.fromtimestamp(principal.expires_at, UTC)
            await store.revocations.forbid_token(principal.token_id, expires_at=expires_at)
            user = None if principal.session_id is None else await store.users.get(UUID(principal.subject))
            await store.audit.add(
                _event(
                    call,
                    found,
                    kind="access_token",
                    subject=principal.subject,
                    user_name=None if user is None else user.name,
                    session_id=principal.session_id,
                )
            )
        return None

    async def _refresh_token(self, call: Call, found: Recognised, unverified_token: str) -> Deny | None:
        client_id = found.client.client_id
        async with step(self._store, call.tenant.id) as store:
            token = await store.refresh_tokens.find(unverified_token)
            if token is None:
                return Deny("refresh_token_unknown")
            if token.facts.client_id != client_id:
                return Deny("token_foreign")
            if not await store.refresh_tokens.revoke_family(token.family_id):
                return None  # it was done before: no second event, and nothing of what was granted since is touched
            await store.audit.add(_family_event(call, found, token))
            if token.session.client_id == client_id:
                await store.sessions.end(token.session.id)  # it was made for this grant, so nothing else goes with it
                return None
        # In a step of its own, whose time is later than any at which a refresh can have found the family alive: what
        # such a refresh was given is older than this. The session itself goes on; other clients have a part in it.
        async with step(self._store, call.tenant.id) as store:
            await store.revocations.revoke("grant", of_grant(token.session.id, client_id))
        return None


def _family_event(call: Call, found: Recognised, token: RefreshToken) -> Event:
    return _event(
        call,
        found,
        kind="refresh_token",
        subject=str(token.user.id),
        user_name=token.user.name,
        session_id=str(token.session.id),
    )


def _event(
    call: Call, found: Recognised, *, kind: str, subject: str, user_name: str | None, session_id: str | None
) -> Event:
    return Event(
        type=_EVENT,
        outcome="success",
        subject=subject,
        user_name=user_name,
        session_id=session_id,
        client_id=found.client.client_id,
        details={"kind": kind},
        request_id=call.context.request_id,
        address=str(call.context.address),
    )

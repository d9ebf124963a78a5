"""Request objects: an authorization request as a JWT that its client signed (RFC 9101), by value only.

What the object says is the whole request: a parameter beside it counts for nothing (section 6.3), but for the client's
id, which has to be the same in both. Owns how the object becomes a form. Not what a request may say
(authorization_request.py), not the claims that say whose and for whom it is (policies/client_statement.py).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.errors import InvalidRequest
from gateway.form import Form
from gateway.oauth.client_jwks import ClientJwks
from gateway.oauth.errors import InvalidRequestObject
from gateway.oauth.presented_client import CREDENTIALS
from gateway.tenancy import step
from policies import client_statement
from policies.client_statement import Statement
from policies.decision import Deny
from tenants.client import Client
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.unverified_token import Malformed, UnverifiedToken, parse_unverified

_ABOUT_ITSELF: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
_FORBIDDEN: Final = frozenset({"request", "request_uri"}) | CREDENTIALS
"""A request object holds no other one (RFC 9101 section 4), and no secret: it passes through the browser."""
_MOST_PARAMETERS = 50


class RequestObjects:
    """Unpacks request objects. No transaction may be open: keys may have to be fetched, and an id is used up."""

    def __init__(self, store: Store, jwks: ClientJwks, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._jwks = jwks
        self._clock = clock

    async def unpack(self, form: Form, *, client: Client, tenant: Tenant) -> Form:
        """The request that the parameter ``request`` holds; ``form`` itself where there is none, and none has to be.

        An object with a ``jti`` counts once: whoever needs the request again keeps what is returned. A request that was
        pushed was unpacked when it was pushed.

        Raises:
            InvalidRequest: the client has to send one; or there is a ``request_uri`` too (RFC 9101 section 5).
            InvalidRequestObject: malformed, not signed by the client, for somebody else, over, or used before.
        """
        sent = form.optional("request")
        if sent is None:
            if client.options.require_signed_request_object:
                raise InvalidRequest(reason="request_object_missing")
            return form
        if form.optional("request_uri") is not None:
            raise InvalidRequest(reason="request_object_twice")
        token = _parsed(sent)
        claims = await self._jwks.verify(tenant.id, client, token)
        if claims is None:
            raise InvalidRequestObject(reason="request_object_not_signed")
        told = client_statement.request_object(
            claims, client_id=client.client_id, issuer=tenant.issuer, now=self._clock()
        )
        if isinstance(told, Deny):
            raise InvalidRequestObject(reason=f"request_object_{told.reason}")
        if not form.text("client_id") == claims.get("client_id") == client.client_id:
            raise InvalidRequestObject(reason="request_object_client_mismatch")
        unpacked = Form.from_stored(_parameters(claims))
        await self._use_up(tenant, client, told)
        return unpacked

    async def _use_up(self, tenant: Tenant, client: Client, told: Statement) -> None:
        if told.token_id is None:
            return
        identifier = f"{client.client_id}\n{told.token_id}"  # no client id has a line break in it
        async with step(self._store, tenant.id) as store:
            first = await store.seen_ids.first_time("request_object", identifier, told.expires_at)
        if not first:
            raise InvalidRequestObject(reason="request_object_replayed")


def _parsed(sent: str) -> UnverifiedToken:
    match parse_unverified(sent.encode()):
        case Malformed(reason):
            raise InvalidRequestObject(reason="request_object_malformed", detail=reason)
        case UnverifiedToken() as token:
            form = client_statement.header(token.header, "request_object")
            if isinstance(form, Deny):
                raise InvalidRequestObject(reason=f"request_object_{form.reason}")
            return token


def _parameters(claims: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Claims as the parameters that they stand for (RFC 9101 section 4). A form has no NUL in a name, either."""
    if not _FORBIDDEN.isdisjoint(claims) or len(claims) > _MOST_PARAMETERS or any("\0" in name for name in claims):
        raise InvalidRequestObject(reason="request_object_parameters")
    return {name: _values(name, value) for name, value in claims.items() if name not in _ABOUT_ITSELF}


def _values(name: str, value: object) -> Sequence[str]:
    """Numbers and objects are JSON there, and text in a form; only ``resource`` may be a list (RFC 8707)."""
    match value:
        case bool():
            pass
        case str() if "\0" not in value:
            return [value]
        case int():
            return [str(value)]
        case dict() if name == "claims":
            return [json.dumps(value)]
        case list() if name == "resource" and all(isinstance(item, str) and "\0" not in item for item in value):
            return value
    raise InvalidRequestObject(reason="request_object_parameters", detail=name[:100])

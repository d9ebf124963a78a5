"""``/register``: applications make themselves clients (RFC 7591), and look after what they registered (RFC 7592).

Owns who may: a tenant that allows it at all, whoever has an initial access token for as long as that has uses, and
afterwards whoever has the client's registration access token, which each change replaces. Not what can be registered
(client_metadata.py).
"""

import hmac
import secrets
from dataclasses import replace
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from gateway import urls
from gateway.errors import InvalidRequest
from gateway.oauth import client_metadata
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import InvalidBearer, InvalidClientMetadata, RegistrationClosed
from gateway.tenancy import step
from tenants import opaque
from tenants.audit_event import Details, Event
from tenants.client import Client, differences
from tenants.client_options import SECRET_METHODS
from tenants.errors import NotFound
from tenants.registration_tokens import RegistrationToken
from tenants.store import Store, TenantStore
from tenants.unverified_token import Malformed, parse_object

# RFC 7592 section 2.2: what the server says of a client is not the client's to send back.
_OURS = frozenset(
    {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
)


class Registration:
    """Both endpoints."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def register(self, call: Call) -> Response:
        """A new client, third-party, for no API (RFC 7591 section 3).

        Raises:
            RegistrationClosed: the tenant registers nobody.
            InvalidBearer: no initial access token, or one that is over or used up.
            InvalidRequest: no JSON object.
            InvalidRedirectUri, InvalidClientMetadata: what cannot be registered; one client too many.
        """
        token = _bearer(call)
        async with step(self._store, call.tenant.id, read_only=True) as store:
            initial = await store.registration_tokens.find(token)
        if initial is None:
            raise InvalidBearer(reason="initial_access_token_unknown")
        client_id = f"dcr-{secrets.token_hex(16)}"
        blank = Client(client_id, client_id, False, frozenset(), frozenset(), (call.tenant.issuer,))
        management = opaque.new("yrg_")
        client = client_metadata.read(_json(call), _keyed(blank, management))
        async with step(self._store, call.tenant.id) as store:
            stored, secret = await self._create(store, call, initial, client)
        return JSONResponse(_answer(call, stored, management, secret), status_code=201)

    async def manage(self, call: Call) -> Response:
        """What its holder does to a registered client (RFC 7592 section 2).

        Raises:
            RegistrationClosed: the tenant registers nobody.
            InvalidBearer: not this client's registration access token; the client is gone or disabled.
            InvalidRequest, InvalidRedirectUri, InvalidClientMetadata: as ``register``.
        """
        token = _bearer(call)
        async with step(self._store, call.tenant.id, read_only=True) as store:
            client = await _registered(store, call, token)
        match call.method:
            case "PUT":
                return await self._change(call, token)
            case "DELETE":
                return await self._delete(call, client)
        return JSONResponse(_answer(call, client, token, None))

    async def _create(
        self, store: TenantStore, call: Call, initial: RegistrationToken, client: Client
    ) -> tuple[Client, str | None]:
        """All checks come before the first write (rule 7)."""
        if await store.clients.registered_themselves() >= call.tenant.provider.registered_clients:
            raise InvalidClientMetadata(detail="too many clients have registered themselves")
        if not await store.registration_tokens.spend(initial):
            raise InvalidBearer(reason="initial_access_token_used_up")
        await store.clients.create(client)
        secret = await store.clients.add_secret(client.client_id) if client.method in SECRET_METHODS else None
        details: Details = {"name": client.name, "grant_types": sorted(client.grant_types)}
        await store.audit.add(
            _event(call, "client.registered", client, actor=f"registration:{initial.name}", details=details)
        )
        return await _reread(store, client.client_id), secret

    async def _change(self, call: Call, token: str) -> Response:
        """The client is read once more: what the tenant set of it meanwhile stays."""
        metadata = _json(call)
        if metadata.get("client_id") != call.parameters["client_id"]:
            raise InvalidClientMetadata(member="client_id", detail="another client's, or none")
        if not _OURS.isdisjoint(metadata):
            raise InvalidRequest(reason="member_not_allowed")
        management = opaque.new("yrg_")
        async with step(self._store, call.tenant.id) as store:
            client = await _registered(store, call, token, held=True)
            changed = client_metadata.read(metadata, client)
            await _check_secret(store, client, metadata)
            digest = opaque.digest(token)
            if not await store.clients.replace_registered(_keyed(changed, management), digest=digest):
                raise InvalidBearer(reason="registration_token_replaced")
            secret, ended = await store.clients.secrets_for(changed, before=client)
            details: Details = {
                "changed": differences(client, changed),
                "secrets_ended": ended,
                "secret_added": secret is not None,
            }
            await store.audit.add(_event(call, "client.changed", client, actor="registration", details=details))
            stored = await _reread(store, client.client_id)
        return JSONResponse(_answer(call, stored, management, secret))

    async def _delete(self, call: Call, client: Client) -> Response:
        async with step(self._store, call.tenant.id) as store:
            try:
                await store.clients.delete(client.client_id)
            except NotFound as error:  # another request was first
                raise InvalidBearer(reason="registration_token_unknown") from error
            await store.audit.add(_event(call, "client.deleted", client, actor="registration"))
        return Response(status_code=204)


def _bearer(call: Call) -> str:
    """The one token that came with the call. The tenant is asked first: where it registers nobody, no token counts."""
    if not call.tenant.provider.registration:
        raise RegistrationClosed(reason="registration_closed")
    if len(call.authorizations) > 1:
        raise InvalidRequest(reason="authorization_repeated")
    scheme, _, token = (call.authorizations or ("",))[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidBearer(reason="token_missing")
    return token.strip()


def _json(call: Call) -> dict[str, Any]:
    if call.content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest(reason="json_expected")
    found = parse_object(call.body)
    if isinstance(found, Malformed):
        raise InvalidRequest(reason=f"json_{found.reason}")
    return found


async def _registered(store: TenantStore, call: Call, token: str, *, held: bool = False) -> Client:
    """The client of this address, if the token is its own. A stranger learns nothing of which clients there are."""
    client_id = call.parameters["client_id"]
    client = await (store.clients.held(client_id) if held else store.clients.get(client_id))
    digest = None if client is None else client.registration_digest
    if client is None or digest is None or not hmac.compare_digest(digest, opaque.digest(token)):
        raise InvalidBearer(reason="registration_token_unknown")
    if not client.active:
        raise InvalidBearer(reason="client_disabled")
    return client


async def _check_secret(store: TenantStore, client: Client, metadata: dict[str, Any]) -> None:
    """RFC 7592 section 2.2: a secret that is sent back has to be the client's, and never becomes another one."""
    sent = metadata.get("client_secret")
    if sent is not None and not await store.clients.has_secret(client.client_id, str(sent)):
        raise InvalidClientMetadata(member="client_secret", detail="not the client's")


async def _reread(store: TenantStore, client_id: str) -> Client:
    found = await store.clients.get(client_id)
    if found is None:
        raise AssertionError("a client that was just written is not there")
    return found


def _keyed(client: Client, management: str) -> Client:
    return replace(client, registration_digest=opaque.digest(management))


def _answer(call: Call, client: Client, management: str, secret: str | None) -> dict[str, Any]:
    """The client information response (RFC 7591 section 3.2.1, RFC 7592 section 3). A secret is there once: when it is
    made, and never again, since only its hash is kept."""
    issued_at = {} if client.created_at is None else {"client_id_issued_at": int(client.created_at.timestamp())}
    secrets_ = {} if secret is None else {"client_secret": secret, "client_secret_expires_at": 0}
    return {
        "client_id": client.client_id,
        **issued_at,
        **secrets_,
        "registration_access_token": management,
        "registration_client_uri": urls.below(call.tenant.issuer, f"register/{client.client_id}"),
        **client_metadata.written(client),
    }


def _event(call: Call, type_: str, client: Client, *, actor: str, details: Details | None = None) -> Event:
    return Event(
        type=type_,
        outcome="success",
        client_id=client.client_id,
        actor=actor,
        details=details or {},
        request_id=call.context.request_id,
        address=str(call.context.address),
    )

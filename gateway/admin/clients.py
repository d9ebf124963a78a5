"""``/tenants/{slug}/clients``: the applications that ask a tenant for tokens, and their secrets, each shown once."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, JsonValue

from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import Existing, InsufficientScope, ResourceNotFound, ValidationFailed
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import CLIENTS_READ, CLIENTS_WRITE
from tenants.acts import clients as acts
from tenants.client_options import AuthMethod, ClientOptions
from tenants.clients import Client

_MOST = 200
_LONGEST_URI = 2000
Words = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=_MOST)]
Uris = Annotated[tuple[Annotated[str, Field(max_length=_LONGEST_URI)], ...], Field(max_length=_MOST)]
Uri = Annotated[str, Field(max_length=_LONGEST_URI)]
_OWN_OPTIONS = frozenset({"claim_mapping"})  # an object here, and pairs there
_OPTIONS = tuple(entry.name for entry in fields(ClientOptions) if entry.name not in _OWN_OPTIONS)


class ClientChange(Document):
    """What can be changed, by the names of RFC 7591. A client that is to prove itself by a secret from now on is given
    one, and loses those that it has when it is to do so no longer.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    active: bool = True
    auth_method: AuthMethod = "none"
    grant_types: Words = ()
    scopes: Words = ()
    default_scopes: Words = ()
    audiences: Annotated[Uris, Field(min_length=1)]
    redirect_uris: Uris = ()
    origins: Uris = ()
    claim_mapping: Annotated[dict[str, str], Field(max_length=_MOST)] = Field(default_factory=dict)
    first_party: bool = False
    jwks: dict[str, JsonValue] | None = None
    jwks_uri: Uri | None = None
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    dpop_bound_access_tokens: bool = False
    post_logout_redirect_uris: Uris = ()
    backchannel_logout_uri: Uri | None = None
    introspection_signed: bool = False
    client_uri: Uri | None = None
    logo_uri: Uri | None = None
    policy_uri: Uri | None = None
    tos_uri: Uri | None = None


class ClientDocument(ClientChange):
    """``registered_itself``: nobody of the tenant's made it (RFC 7591). Of its secrets only hashes are stored."""

    client_id: str
    registered_itself: bool
    created_at: datetime | None


class ClientWithSecret(ClientDocument):
    """``secret`` is one that was made by this request, shown this once."""

    secret: str | None


class NewClient(ClientChange):
    """``client_id`` is 1 to 100 of ``A-Z a-z 0-9 . _ : @ -`` and no UUID."""

    client_id: Annotated[str, Field(min_length=1, max_length=100)]


class SecretWanted(Document):
    """``end_others``: the secrets from before end at once, because one leaked."""

    end_others: bool = False


class NewSecret(Document):
    """``secret`` is shown this once."""

    secret: str
    secrets_ended: int


async def _found(call: Call) -> Client:
    read = call.store.clients.get if call.operation.reads else call.store.clients.held
    client = await read(call.parameters["client_id"])
    if client is None:
        raise ResourceNotFound
    return client


def _shown(client: Client) -> ClientDocument:
    return ClientDocument(**_values(client))


def _values(client: Client) -> dict[str, Any]:
    options = client.options
    return {
        "client_id": client.client_id,
        "name": client.name,
        "active": client.active,
        "auth_method": client.method,
        "grant_types": tuple(sorted(client.grant_types)),
        "scopes": tuple(sorted(client.scopes)),
        "default_scopes": tuple(sorted(client.default_scopes)),
        "audiences": client.audiences,
        "redirect_uris": client.redirect_uris,
        "origins": client.origins,
        "claim_mapping": dict(options.claim_mapping),
        **{name: getattr(options, name) for name in _OPTIONS},
        "jwks": None if options.jwks is None else dict(options.jwks),
        "registered_itself": client.registered_itself,
        "created_at": client.created_at,
    }


def _with(client: Client, wanted: ClientChange) -> Client:
    """The client as it is wanted. It is judged where it is stored."""
    options = {name: getattr(wanted, name) for name in _OPTIONS}
    return replace(
        client,
        name=wanted.name,
        confidential=wanted.auth_method != "none",
        auth_method=wanted.auth_method,
        grant_types=frozenset(wanted.grant_types),
        scopes=frozenset(wanted.scopes),
        default_scopes=frozenset(wanted.default_scopes),
        audiences=wanted.audiences,
        redirect_uris=wanted.redirect_uris,
        origins=wanted.origins,
        options=replace(client.options, **options, claim_mapping=tuple(sorted(wanted.claim_mapping.items()))),
    )


def _require_registrable(wanted: ClientChange, before: Client | None) -> None:
    """``client_secret`` is what a client of version 0.1 could do: to be kept, and not to be chosen."""
    if wanted.auth_method == "client_secret" and (before is None or before.method != "client_secret"):
        raise ValidationFailed([{"pointer": "/auth_method", "detail": "client_secret cannot be chosen any more"}])


async def _current(call: Call) -> ClientDocument:
    return _shown(await _found(call))


async def _list(call: Call) -> Answer:
    place, most = call.place(), call.query.limit
    found = await call.store.clients.list(after=place[0] if place else "", limit=most + 1)
    shown = [_shown(client) for client in found[:most]]
    return Answer(call.page(shown, [shown[-1].client_id] if len(found) > most else None))


async def _create(call: Call) -> Answer:
    wanted: NewClient = call.body
    _require_registrable(wanted, None)
    call.require_own(frozenset(wanted.scopes))
    if not wanted.active:
        raise ValidationFailed([{"pointer": "/active", "detail": "a client is made active, and disabled afterwards"}])
    blank = Client(wanted.client_id, wanted.name, False, frozenset(), frozenset(), ())
    secret = await acts.create(call.store, call.by, _with(blank, wanted))
    made = await call.store.clients.get(wanted.client_id)
    if made is None:
        raise AssertionError("a client that was made in this transaction")
    location = f"{call.base}/clients/{made.client_id}"
    return Answer(ClientWithSecret(**_values(made), secret=secret), tag=_shown(made), location=location)


async def _read(call: Call) -> Answer:
    return Answer(await _current(call))


async def _change(call: Call) -> Answer:
    before, wanted = await _found(call), call.body
    _require_registrable(wanted, before)
    after = _with(before, wanted)
    call.require_own(before.scopes, after.scopes)
    secret = await acts.change(call.store, call.by, before, after)
    if wanted.active != before.active:
        await acts.set_active(call.store, call.by, before.client_id, wanted.active)
    stored = await _found(call)
    return Answer(ClientWithSecret(**_values(stored), secret=secret), tag=_shown(stored))


async def _delete(call: Call) -> Answer:
    client = await _found(call)
    call.require_own(client.scopes)
    await acts.delete(call.store, call.by, client.client_id)
    return Answer()


async def _rotate(call: Call) -> Answer:
    client = await _found(call)
    call.require_own(client.scopes)
    secret, ended = await acts.rotate(call.store, call.by, client.client_id, end_others=call.body.end_others)
    return Answer(NewSecret(secret=secret, secrets_ended=ended))


_ALL, _ONE = "/tenants/{slug}/clients", "/tenants/{slug}/clients/{client_id}"
OPERATIONS = (
    Operation(
        "list_clients",
        "GET",
        _ALL,
        CLIENTS_READ,
        "List clients by id",
        _list,
        answer=Page[ClientDocument],
        query=PageQuery,
    ),
    Operation(
        "create_client",
        "POST",
        _ALL,
        CLIENTS_WRITE,
        "Create a client; its secret is shown once",
        _create,
        answer=ClientWithSecret,
        body=NewClient,
        tagged=True,
        status=201,
        refusals=(Existing, InsufficientScope),
    ),
    Operation(
        "read_client",
        "GET",
        _ONE,
        CLIENTS_READ,
        "Show a client",
        _read,
        answer=ClientDocument,
        tagged=True,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "change_client",
        "PATCH",
        _ONE,
        CLIENTS_WRITE,
        "Change a client, or disable or enable it",
        _change,
        answer=ClientWithSecret,
        body=ClientChange,
        current=_current,
        tagged=True,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "delete_client",
        "DELETE",
        _ONE,
        CLIENTS_WRITE,
        "Delete a client with all that it was granted",
        _delete,
        current=_current,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "add_client_secret",
        "POST",
        f"{_ONE}/secrets",
        CLIENTS_WRITE,
        "Give a client a further secret, shown once; those from before go on to work unless they are ended",
        _rotate,
        answer=NewSecret,
        body=SecretWanted,
        body_optional=True,
        status=201,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
)

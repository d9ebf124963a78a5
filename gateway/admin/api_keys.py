"""``/tenants/{slug}/api-keys``: for machines that cannot do OAuth. No admin API takes one."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import InsufficientScope, ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import API_KEYS_READ, API_KEYS_WRITE
from tenants.acts import keys as acts
from tenants.api_keys import DEFAULT_LIFETIME, LONGEST_LIFETIME, MOST_AUDIENCES, MOST_SCOPES, ApiKey

_LONGEST = int(LONGEST_LIFETIME.total_seconds())


class ApiKeyDocument(Document):
    """``last_used_at`` is some minutes behind. What ended stays for 30 days."""

    id: UUID
    name: str
    state: Literal["active", "expired", "revoked"]
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class ApiKeyWithText(ApiKeyDocument):
    """``api_key`` is shown this once."""

    api_key: str


class NewApiKey(Document):
    """``expires_in`` is in seconds; null: it does not expire."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_SCOPES)]
    audiences: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_AUDIENCES)]
    expires_in: Annotated[int, Field(ge=1, le=_LONGEST)] | None = int(DEFAULT_LIFETIME.total_seconds())


def _shown(call: Call, key: ApiKey) -> ApiKeyDocument:
    return ApiKeyDocument(
        id=key.id,
        name=key.name,
        state=key.state(call.now),
        scopes=tuple(sorted(key.scopes)),
        audiences=key.audiences,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


async def _found(call: Call) -> ApiKey:
    key = await call.store.api_keys.get(call.uuid("key_id"))
    if key is None:
        raise ResourceNotFound
    return key


async def _list(call: Call) -> Answer:
    place, most = call.place(), call.query.limit
    after = None if place is None else (datetime.fromisoformat(place[0]), UUID(place[1]))
    found = await call.store.api_keys.list(after=after, limit=most + 1)
    last = found[most - 1] if len(found) > most else None
    shown = [_shown(call, key) for key in found[:most]]
    return Answer(call.page(shown, None if last is None else [last.created_at.isoformat(), str(last.id)]))


async def _create(call: Call) -> Answer:
    wanted: NewApiKey = call.body
    call.require_own(frozenset(wanted.scopes))
    lifetime = None if wanted.expires_in is None else timedelta(seconds=wanted.expires_in)
    made, text = await acts.create_api_key(
        call.store, call.by, wanted.name, scopes=wanted.scopes, audiences=wanted.audiences, lifetime=lifetime
    )
    shown = _shown(call, made).model_dump()
    return Answer(ApiKeyWithText(**shown, api_key=text), location=f"{call.base}/api-keys/{made.id}")


async def _read(call: Call) -> Answer:
    return Answer(_shown(call, await _found(call)))


async def _revoke(call: Call) -> Answer:
    """Once more changes nothing."""
    key = await _found(call)
    call.require_own(key.scopes)
    if key.revoked_at is None:
        await acts.revoke_api_key(call.store, call.by, key.id)
    return Answer()


_ALL, _ONE = "/tenants/{slug}/api-keys", "/tenants/{slug}/api-keys/{key_id}"
OPERATIONS = (
    Operation(
        "list_api_keys",
        "GET",
        _ALL,
        API_KEYS_READ,
        "List API keys, oldest first",
        _list,
        answer=Page[ApiKeyDocument],
        query=PageQuery,
    ),
    Operation(
        "create_api_key",
        "POST",
        _ALL,
        API_KEYS_WRITE,
        "Create an API key, shown once",
        _create,
        answer=ApiKeyWithText,
        body=NewApiKey,
        status=201,
        refusals=(InsufficientScope,),
    ),
    Operation(
        "read_api_key",
        "GET",
        _ONE,
        API_KEYS_READ,
        "Show an API key, without the key",
        _read,
        answer=ApiKeyDocument,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "revoke_api_key",
        "DELETE",
        _ONE,
        API_KEYS_WRITE,
        "Refuse an API key everywhere within a second, for good",
        _revoke,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
)

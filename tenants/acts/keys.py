"""What is done to signing keys and to API keys: made, rotated, revoked."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from policies.key_rotation import NothingToPromote, PromoteNow, Promotion, Schedule
from tenants.acts.by import By
from tenants.api_keys import ApiKey
from tenants.errors import InvalidValue, NotFound
from tenants.jose import Algorithm
from tenants.store import TenantStore


async def rotate(store: TenantStore, by: By, alg: Algorithm, *, force: bool) -> Promotion:
    """Let the next key sign, or schedule that."""
    promotion = await store.keys.rotate(alg, force=force)
    match promotion:
        case PromoteNow(kid, retires, early):
            await by.tell(store, "key.rotated", kid=kid, retires=retires or "", early=early)
        case Schedule(kid, at):
            await by.tell(store, "key.scheduled", kid=kid, at=at.isoformat())
        case NothingToPromote():
            raise AssertionError("a rotation makes the key that it lacks")
    return promotion


async def revoke(store: TenantStore, by: By, kid: str, alg: Algorithm) -> None:
    """Raises InvalidValue, NotFound: as ``Keys.revoke``."""
    await store.keys.revoke(kid, alg)
    await by.tell(store, "key.revoked", kid=kid)


async def create_api_key(
    store: TenantStore,
    by: By,
    name: str,
    *,
    scopes: Iterable[str],
    audiences: Iterable[str],
    lifetime: timedelta | None,
) -> tuple[ApiKey, str]:
    """A key and its text, which is shown this once.

    Raises:
        InvalidValue: as ``ApiKeys.create``.
    """
    made, text = await store.api_keys.create(name, scopes=scopes, audiences=audiences, lifetime=lifetime)
    await by.tell(
        store,
        "api_key.created",
        api_key=str(made.id),
        name=made.name,
        scopes=sorted(made.scopes),
        audiences=list(made.audiences),
        expires_at="never" if made.expires_at is None else made.expires_at.isoformat(),
    )
    return made, text


async def revoke_api_key(store: TenantStore, by: By, key_id: UUID) -> ApiKey:
    """The key as it was.

    Raises:
        InvalidValue: it is revoked already.
        NotFound: there is none.
    """
    found = await store.api_keys.get(key_id)
    if found is None:
        raise NotFound("API key", str(key_id))
    if not await store.api_keys.revoke(key_id):
        raise InvalidValue(f"API key {key_id} is revoked already")
    await by.tell(store, "api_key.revoked", api_key=str(found.id), name=found.name)
    return found

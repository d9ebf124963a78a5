"""What is done to a client: made, changed, its secrets rolled, disabled, deleted."""

from tenants.acts.by import By
from tenants.client import differences
from tenants.client_options import SECRET_METHODS
from tenants.clients import Client
from tenants.store import TenantStore


async def create(store: TenantStore, by: By, made: Client, *, is_default: bool = False) -> str | None:
    """Its secret, shown this once, where it proves itself by one.

    Raises:
        AlreadyExists, InvalidValue: as ``Clients.create``.
    """
    await store.clients.create(made)
    secret = await store.clients.add_secret(made.client_id) if made.method in SECRET_METHODS else None
    if is_default:
        await store.settings.set_default_client(made.client_id)
    grants = sorted(made.grant_types)
    await by.tell(store, "client.created", client_id=made.client_id, grant_types=grants, default=is_default)
    return secret


async def change(store: TenantStore, by: By, before: Client, after: Client) -> str | None:
    """Store what differs, if anything does; the secret that had to be made, where one had to.

    Raises:
        InvalidValue, NotFound: as ``Clients.replace``.
    """
    changed = differences(before, after)
    if not changed:
        return None
    await store.clients.replace(after)
    secret, ended = await store.clients.secrets_for(after, before=before)
    await by.tell(
        store,
        "client.changed",
        client_id=after.client_id,
        changed=changed,
        secrets_ended=ended,
        secret_added=secret is not None,
    )
    return secret


async def rotate(store: TenantStore, by: By, client_id: str, *, end_others: bool) -> tuple[str, int]:
    """A further secret, shown this once, and how many from before were ended.

    Raises:
        InvalidValue, NotFound: as ``Clients.add_secret``.
    """
    ended = await store.clients.end_secrets(client_id) if end_others else 0
    secret = await store.clients.add_secret(client_id)
    await by.tell(store, "client.secret_added", client_id=client_id, secrets_ended=ended)
    return secret, ended


async def set_active(store: TenantStore, by: By, client_id: str, active: bool) -> None:
    """Raises NotFound: as ``Clients.set_active``."""
    await store.clients.set_active(client_id, active)
    await by.tell(store, "client.enabled" if active else "client.disabled", client_id=client_id)


async def delete(store: TenantStore, by: By, client_id: str) -> None:
    """Raises NotFound: as ``Clients.delete``."""
    await store.clients.delete(client_id)
    await by.tell(store, "client.deleted", client_id=client_id)

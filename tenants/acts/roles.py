"""What is done to a role: made, changed, deleted. Giving one is a user's affair (users.py)."""

from collections.abc import Iterable

from tenants.acts.by import By, administering
from tenants.audit_event import Details
from tenants.roles import Role
from tenants.store import TenantStore


async def create(store: TenantStore, by: By, name: str, scopes: Iterable[str]) -> Role:
    """Raises AlreadyExists, InvalidValue: as ``Roles.create``."""
    made = await store.roles.create(name, scopes)
    await _tell(store, by, "role.created", made)
    return made


async def set_scopes(store: TenantStore, by: By, name: str, scopes: Iterable[str]) -> Role:
    """Raises InvalidValue, NotFound: as ``Roles.set_scopes``."""
    changed = await store.roles.set_scopes(name, scopes)
    await _tell(store, by, "role.changed", changed)
    return changed


async def delete(store: TenantStore, by: By, name: str) -> None:
    """Raises NotFound: as ``Roles.delete``."""
    await store.roles.delete(name)
    await by.tell(store, "role.deleted", role=name)


async def _tell(store: TenantStore, by: By, type_: str, role: Role) -> None:
    details: Details = {"role": role.name, "scopes": sorted(role.scopes), **administering(role.scopes)}
    await store.audit.add(by.event(type_, details))

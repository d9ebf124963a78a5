"""What is done to a group: made, changed, deleted, and who comes into it and goes."""

from collections.abc import Iterable

from tenants.acts.by import By, administering
from tenants.audit_event import Details
from tenants.groups import Group
from tenants.store import TenantStore
from tenants.users import User


async def create(store: TenantStore, by: By, name: str, *, description: str, roles: Iterable[str]) -> Group:
    """Raises AlreadyExists, InvalidValue, NotFound: as ``Groups.create``."""
    made = await store.groups.create(name, description=description, roles=roles)
    await _tell(store, by, "group.created", made)
    return made


async def change(store: TenantStore, by: By, before: Group, *, description: str, roles: Iterable[str]) -> Group:
    """Raises InvalidValue, NotFound: as ``Groups.change``."""
    changed = await store.groups.change(before, description=description, roles=roles)
    if changed != before:
        await _tell(store, by, "group.changed", changed)
    return changed


async def delete(store: TenantStore, by: By, name: str) -> None:
    """Raises NotFound: as ``Groups.delete``."""
    await store.groups.delete(name)
    await by.tell(store, "group.deleted", group=name)


async def add(store: TenantStore, by: By, name: str, member: User) -> bool:
    """Whether they were not in it before.

    Raises:
        NotFound: there is no such group.
    """
    added = await store.groups.add(name, member.id)
    if added:
        told = administering(await store.groups.scopes_of(name))
        await by.tell_of(store, "group.member_added", member, group=name, **told)
    return added


async def remove(store: TenantStore, by: By, name: str, member: User) -> bool:
    """Whether they were in it."""
    removed = await store.groups.remove(name, member.id)
    if removed:
        await by.tell_of(store, "group.member_removed", member, group=name)
    return removed


async def _tell(store: TenantStore, by: By, type_: str, group: Group) -> None:
    scopes = await store.groups.scopes_of(group.name)
    details: Details = {"group": group.name, "roles": sorted(group.roles), **administering(scopes)}
    await store.audit.add(by.event(type_, details))

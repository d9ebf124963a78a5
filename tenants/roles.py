"""Roles: named sets of scopes in a tenant. A user's scopes are the union of those of the roles that they hold: their
own, which somebody gave to them, and those that their groups carry (groups.py).

A role may hold scopes of OpenID Connect too. That changes nothing: every user has those (``policies.scope.of_user``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, delete, exists, insert, or_, select, union, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, NotFound
from tenants.group_tables import group_members, group_roles
from tenants.names import checked_name, checked_scopes, is_name
from tenants.tables import roles, user_roles, users

_TENANT_ID: BindParameter[UUID] = bindparam("p_tenant_id")
_USER_ID: BindParameter[UUID] = bindparam("p_user_id")
_OWN = select(user_roles.c.role).where(user_roles.c.tenant_id == _TENANT_ID, user_roles.c.user_id == _USER_ID)
_NAMES = _OWN.order_by(user_roles.c.role)
_OF_GROUP = (group_members.c.tenant_id == group_roles.c.tenant_id) & (
    group_members.c.group_name == group_roles.c.group_name
)
_CARRIED = (
    select(group_roles.c.role)
    .join(group_members, _OF_GROUP)
    .where(group_members.c.tenant_id == _TENANT_ID, group_members.c.user_id == _USER_ID)
)
_HELD = union(_OWN, _CARRIED)
_SCOPES = select(roles.c.scopes).where(roles.c.tenant_id == _TENANT_ID, roles.c.name.in_(_HELD))


class Held(NamedTuple):
    """What a user holds, by themselves and by their groups: roles' names, and the union of their scopes."""

    roles: frozenset[str]
    scopes: frozenset[str]


def held_of(pairs: Collection[tuple[str, Iterable[str]]]) -> Held:
    """Of roles' names and scopes."""
    return Held(frozenset(name for name, _ in pairs), frozenset(scope for _, scopes in pairs for scope in scopes))


@dataclass(frozen=True, slots=True)
class Role:
    """A name and the scopes that it gives."""

    name: str
    scopes: frozenset[str]


class Roles:
    """One tenant's roles, and who has them."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def create(self, name: str, scopes: Iterable[str]) -> Role:
        """A new role.

        Raises:
            AlreadyExists: the tenant has one of this name.
            InvalidValue: the name or a scope is malformed (RFC 6749 section 3.3).
        """
        role = Role(checked_name("role", name), checked_scopes(scopes))
        row = {"name": role.name, "scopes": sorted(role.scopes)}
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(roles).values(tenant_id=self._tenant_id, **row))
        except IntegrityError as error:
            raise AlreadyExists("role", name) from error
        return role

    async def get(self, name: str) -> Role | None:
        """By name; what cannot be one is no role's."""
        if not is_name(name):
            return None
        query = select(roles).where(roles.c.tenant_id == self._tenant_id, roles.c.name == name)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else Role(row.name, frozenset(row.scopes))

    async def list(self, *, after: str = "", limit: int | None = None) -> Sequence[Role]:
        """By name, from the one that follows ``after``."""
        mine = roles.c.tenant_id == self._tenant_id, roles.c.name > after
        query = select(roles).where(*mine).order_by(roles.c.name).limit(limit)
        return [Role(row.name, frozenset(row.scopes)) for row in await self._connection.execute(query)]

    async def set_scopes(self, name: str, scopes: Iterable[str]) -> Role:
        """Other scopes for who has it, from their next token on.

        Raises:
            InvalidValue: a scope is malformed.
            NotFound: the tenant has no such role.
        """
        role = Role(name, checked_scopes(scopes))
        mine = roles.c.tenant_id == self._tenant_id, roles.c.name == name
        changed = update(roles).where(*mine).values(scopes=sorted(role.scopes))
        if not is_name(name) or (await self._connection.execute(changed)).rowcount == 0:
            raise NotFound("role", name)
        return role

    async def delete(self, name: str) -> None:
        """With it goes that anybody has it.

        Raises:
            NotFound: the tenant has no such role.
        """
        mine = roles.c.tenant_id == self._tenant_id, roles.c.name == name
        if not is_name(name) or (await self._connection.execute(delete(roles).where(*mine))).rowcount == 0:
            raise NotFound("role", name)

    async def held_by_another(self, name: str, *, but: UUID | None = None, without_group: str = "") -> bool:
        """Whether an active user other than ``but`` holds it, whatever the group ``without_group`` gives."""
        if not is_name(name):
            return False
        own = exists().where(
            user_roles.c.tenant_id == users.c.tenant_id, user_roles.c.user_id == users.c.id, user_roles.c.role == name
        )
        carried = exists(select(group_roles.c.role).join(group_members, _OF_GROUP)).where(
            group_members.c.tenant_id == users.c.tenant_id,
            group_members.c.user_id == users.c.id,
            group_roles.c.role == name,
            group_roles.c.group_name != without_group,
        )
        mine = users.c.tenant_id == self._tenant_id, users.c.active, or_(own, carried)
        query = select(users.c.id).where(*mine).limit(1)
        if but is not None:
            query = query.where(users.c.id != but)
        return (await self._connection.execute(query)).first() is not None

    async def assign(self, user_id: UUID, name: str) -> None:
        """Give a user a role; a second time changes nothing.

        Raises:
            NotFound: the tenant has no such user or no such role.
        """
        if name in await self.of_user(user_id):
            return
        if await self.get(name) is None:
            raise NotFound("role", name)
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(user_roles).values(tenant_id=self._tenant_id, user_id=user_id, role=name)
                )
        except IntegrityError as error:
            raise NotFound("user", str(user_id)) from error

    async def withdraw(self, user_id: UUID, name: str) -> None:
        """Take a role from a user; one that they do not have is no error."""
        if not is_name(name):
            return
        await self._connection.execute(
            delete(user_roles).where(
                user_roles.c.tenant_id == self._tenant_id, user_roles.c.user_id == user_id, user_roles.c.role == name
            )
        )

    async def of_user(self, user_id: UUID) -> Sequence[str]:
        """The names of a user's own roles."""
        return list((await self._connection.execute(_NAMES, self._of(user_id))).scalars())

    async def of_users(self, user_ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
        """The names of these users' own roles; nothing for who has none."""
        mine = user_roles.c.tenant_id == self._tenant_id, user_roles.c.user_id.in_(user_ids)
        found: dict[UUID, Any] = {}
        query = select(user_roles.c.user_id, user_roles.c.role).where(*mine).order_by(user_roles.c.role)
        for user_id, role in await self._connection.execute(query):
            found.setdefault(user_id, []).append(role)
        return found

    async def held_by(self, user_id: UUID) -> frozenset[str]:
        """The names of all roles that a user holds, by themselves or by a group."""
        return frozenset((await self._connection.execute(_HELD, self._of(user_id))).scalars())

    async def scopes_of(self, user_id: UUID) -> frozenset[str]:
        """The union of the roles that the user holds."""
        found: frozenset[str] = frozenset()
        for scopes in (await self._connection.execute(_SCOPES, self._of(user_id))).scalars():
            found |= frozenset(scopes)
        return found

    def _of(self, user_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id}

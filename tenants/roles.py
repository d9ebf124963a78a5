"""Roles: named sets of scopes in a tenant. A user's scopes are the union of the roles'.

A role may hold scopes of OpenID Connect too. That changes nothing: every user has those (``policies.scope.of_user``).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, NotFound
from tenants.names import checked_name, checked_scopes, is_name
from tenants.tables import roles, user_roles

_OF_USER = user_roles.c.tenant_id == bindparam("p_tenant_id"), user_roles.c.user_id == bindparam("p_user_id")
_NAMES = select(user_roles.c.role).where(*_OF_USER).order_by(user_roles.c.role)
_SCOPES = (
    select(roles.c.scopes)
    .join(user_roles, (user_roles.c.tenant_id == roles.c.tenant_id) & (user_roles.c.role == roles.c.name))
    .where(*_OF_USER)
)


class Held(NamedTuple):
    """What a user has of roles: their names, and the union of their scopes."""

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

    async def list(self) -> Sequence[Role]:
        """By name."""
        query = select(roles).where(roles.c.tenant_id == self._tenant_id).order_by(roles.c.name)
        return [Role(row.name, frozenset(row.scopes)) for row in await self._connection.execute(query)]

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
        """The names of a user's roles."""
        return list((await self._connection.execute(_NAMES, self._of(user_id))).scalars())

    async def scopes_of(self, user_id: UUID) -> frozenset[str]:
        """The union of the user's roles."""
        found: frozenset[str] = frozenset()
        for scopes in (await self._connection.execute(_SCOPES, self._of(user_id))).scalars():
            found |= frozenset(scopes)
        return found

    def _of(self, user_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id}

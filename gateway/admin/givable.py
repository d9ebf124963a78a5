"""What somebody gets by name with an account or a group: roles and groups that the caller has to have themselves."""

from collections.abc import Sequence

from gateway.admin.errors import ValidationFailed
from gateway.admin.operation import Call
from policies.administration import ROLES_WRITE
from tenants.roles import Role


async def roles_of(call: Call, names: Sequence[str]) -> list[Role]:
    """The roles that a body names.

    Raises:
        ValidationFailed: one of them is none.
    """
    found = {name: await call.store.roles.get(name) for name in names}
    missing = [name for name, role in found.items() if role is None]
    if missing:
        raise ValidationFailed(
            [{"pointer": "/roles", "detail": f"there is no role {name[:100]!r}"} for name in missing]
        )
    return [role for role in found.values() if role is not None]


async def require_givable(call: Call, roles: Sequence[str], groups: Sequence[str]) -> None:
    """Whether the caller may give these roles and what these groups carry.

    Raises:
        InsufficientScope: they lack something of it, or may give nothing.
        ValidationFailed: one of them is none.
    """
    missing = [name for name in groups if await call.store.groups.get(name) is None]
    if missing:
        raise ValidationFailed(
            [{"pointer": "/groups", "detail": f"there is no group {name[:100]!r}"} for name in missing]
        )
    giving = frozenset({ROLES_WRITE}) if roles or groups else frozenset[str]()
    carried = [await call.store.groups.scopes_of(name) for name in groups]
    call.require_own(giving, *carried, *(role.scopes for role in await roles_of(call, roles)))

"""``/tenants/{slug}/roles``: named sets of scopes. Who has one is a user's (user_security.py)."""

from typing import Annotated

from pydantic import Field

from gateway import urls
from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import BuiltIn, Existing, InsufficientScope, ResourceNotFound, RoleInUse
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import OPERATOR_ROLES, ROLES_READ, ROLES_WRITE, TENANT_ROLES
from tenants.acts import roles as acts
from tenants.roles import Role

_MOST_SCOPES = 500


class RoleChange(Document):
    """What can be changed: its scopes. Who has it has them from the next token on."""

    scopes: Annotated[tuple[str, ...], Field(max_length=_MOST_SCOPES)]


class RoleDocument(RoleChange):
    """``built_in``: one of Yett's own, which stays as it is."""

    name: str
    built_in: bool


class NewRole(RoleChange):
    """``name`` is 1 to 100 of ``A-Z a-z 0-9 . _ : @ -`` and begins with a letter or digit."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


async def _found(call: Call) -> Role:
    role = await call.store.roles.get(call.parameters["role"])
    if role is None:
        raise ResourceNotFound
    return role


def _is_built_in(call: Call, name: str) -> bool:
    return name in (OPERATOR_ROLES if call.tenant.slug == urls.PLATFORM else TENANT_ROLES)


def _shown(call: Call, role: Role) -> RoleDocument:
    return RoleDocument(name=role.name, scopes=tuple(sorted(role.scopes)), built_in=_is_built_in(call, role.name))


async def _current(call: Call) -> RoleDocument:
    return _shown(call, await _found(call))


async def _list(call: Call) -> Answer:
    place, most = call.place(), call.query.limit
    found = await call.store.roles.list(after=place[0] if place else "", limit=most + 1)
    shown = [_shown(call, role) for role in found[:most]]
    return Answer(call.page(shown, [shown[-1].name] if len(found) > most else None))


async def _create(call: Call) -> Answer:
    wanted: NewRole = call.body
    if _is_built_in(call, wanted.name):
        raise BuiltIn(reason="role_built_in")
    call.require_own(frozenset(wanted.scopes))
    made = await acts.create(call.store, call.by, wanted.name, wanted.scopes)
    return Answer(_shown(call, made), location=f"{call.base}/roles/{made.name}")


async def _read(call: Call) -> Answer:
    return Answer(await _current(call))


async def _change(call: Call) -> Answer:
    before, wanted = await _found(call), call.body
    if _is_built_in(call, before.name):
        raise BuiltIn(reason="role_built_in")
    call.require_own(before.scopes, frozenset(wanted.scopes))
    if before.scopes == frozenset(wanted.scopes):
        return Answer(_shown(call, before))
    return Answer(_shown(call, await acts.set_scopes(call.store, call.by, before.name, wanted.scopes)))


async def _delete(call: Call) -> Answer:
    role = await _found(call)
    if _is_built_in(call, role.name):
        raise BuiltIn(reason="role_built_in")
    call.require_own(role.scopes)
    if role.name in call.tenant.people.otp_roles:
        raise RoleInUse
    await acts.delete(call.store, call.by, role.name)
    return Answer()


_ALL, _ONE = "/tenants/{slug}/roles", "/tenants/{slug}/roles/{role}"
OPERATIONS = (
    Operation(
        "list_roles", "GET", _ALL, ROLES_READ, "List roles by name", _list, answer=Page[RoleDocument], query=PageQuery
    ),
    Operation(
        "create_role",
        "POST",
        _ALL,
        ROLES_WRITE,
        "Create a role",
        _create,
        answer=RoleDocument,
        body=NewRole,
        tagged=True,
        status=201,
        refusals=(BuiltIn, Existing, InsufficientScope),
    ),
    Operation(
        "read_role",
        "GET",
        _ONE,
        ROLES_READ,
        "Show a role",
        _read,
        answer=RoleDocument,
        tagged=True,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "change_role",
        "PATCH",
        _ONE,
        ROLES_WRITE,
        "Change a role's scopes",
        _change,
        answer=RoleDocument,
        body=RoleChange,
        current=_current,
        tagged=True,
        refusals=(BuiltIn, InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "delete_role",
        "DELETE",
        _ONE,
        ROLES_WRITE,
        "Delete a role; nobody has it any more",
        _delete,
        current=_current,
        refusals=(BuiltIn, InsufficientScope, ResourceNotFound, RoleInUse),
    ),
)

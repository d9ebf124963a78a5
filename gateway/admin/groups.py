"""``/tenants/{slug}/groups``: users who hold the same roles because they do the same work.

To be in a group is to hold what it carries. So who adds a member, or gives a role to a group, needs what they give.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import Existing, InsufficientScope, LastOwner, ResourceNotFound
from gateway.admin.givable import roles_of
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.owners import require_owner_without
from gateway.admin.users import found_user
from policies.administration import OWNER, ROLES_READ, ROLES_WRITE
from tenants.acts import groups as acts
from tenants.groups import LONGEST_DESCRIPTION, MOST_ROLES, Group


class GroupChange(Document):
    """What can be changed. Who is in it has its roles from their next token on."""

    description: Annotated[str, Field(max_length=LONGEST_DESCRIPTION)] = ""
    roles: Annotated[tuple[str, ...], Field(max_length=MOST_ROLES)] = ()


class GroupDocument(GroupChange):
    """Its members are a list of their own."""

    name: str
    created_at: datetime


class NewGroup(GroupChange):
    """``name`` is 1 to 100 of ``A-Z a-z 0-9 . _ : @ -`` and begins with a letter or digit."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class MemberDocument(Document):
    """A user who is in it."""

    id: UUID
    name: str
    active: bool


async def _found(call: Call) -> Group:
    group = await call.store.groups.get(call.parameters["group"])
    if group is None:
        raise ResourceNotFound
    return group


async def _touched(call: Call) -> Group:
    """The group of the path, if the caller has all that it gives.

    Raises:
        InsufficientScope: it gives more.
        ResourceNotFound: there is none.
    """
    group = await _found(call)
    call.require_own(await call.store.groups.scopes_of(group.name))
    return group


def _shown(group: Group) -> GroupDocument:
    return GroupDocument(
        name=group.name,
        description=group.description,
        roles=tuple(sorted(group.roles)),
        created_at=group.created_at,
    )


async def _current(call: Call) -> GroupDocument:
    return _shown(await _found(call))


async def _list(call: Call) -> Answer:
    place, most = call.place(), call.query.limit
    found = await call.store.groups.list(after=place[0] if place else "", limit=most + 1)
    shown = [_shown(group) for group in found[:most]]
    return Answer(call.page(shown, [shown[-1].name] if len(found) > most else None))


async def _create(call: Call) -> Answer:
    wanted: NewGroup = call.body
    call.require_own(*(role.scopes for role in await roles_of(call, wanted.roles)))
    made = await acts.create(call.store, call.by, wanted.name, description=wanted.description, roles=wanted.roles)
    return Answer(_shown(made), location=f"{call.base}/groups/{made.name}")


async def _read(call: Call) -> Answer:
    return Answer(await _current(call))


async def _change(call: Call) -> Answer:
    """Whoever changes what it is called needs nothing of what it carries."""
    before, wanted = await _found(call), call.body
    if before.roles != frozenset(wanted.roles):
        before = await _touched(call)
        call.require_own(*(role.scopes for role in await roles_of(call, wanted.roles)))
    if OWNER in before.roles - set(wanted.roles):
        await require_owner_without(call, before)
    changed = await acts.change(call.store, call.by, before, description=wanted.description, roles=wanted.roles)
    return Answer(_shown(changed))


async def _delete(call: Call) -> Answer:
    group = await _touched(call)
    await require_owner_without(call, group)
    await acts.delete(call.store, call.by, group.name)
    return Answer()


async def _members(call: Call) -> Answer:
    group, place, most = await _found(call), call.place(), call.query.limit
    found = await call.store.groups.members(group.name, after=place[0] if place else "", limit=most + 1)
    page = found[:most]
    shown = [MemberDocument(id=each.id, name=each.name, active=each.active) for each in page]
    return Answer(call.page(shown, [page[-1].key] if len(found) > most else None))


async def _add(call: Call) -> Answer:
    group = await _touched(call)
    await acts.add(call.store, call.by, group.name, await found_user(call))
    return Answer()


async def _remove(call: Call) -> Answer:
    group, user = await _touched(call), await found_user(call)
    if group.name in await call.store.groups.of_user(user.id):
        await require_owner_without(call, group, member=user)
        await acts.remove(call.store, call.by, group.name, user)
    return Answer()


_ALL = "/tenants/{slug}/groups"
_ONE = f"{_ALL}/{{group}}"
_MEMBERS = f"{_ONE}/members"
OPERATIONS = (
    Operation(
        "list_groups",
        "GET",
        _ALL,
        ROLES_READ,
        "List groups by name",
        _list,
        answer=Page[GroupDocument],
        query=PageQuery,
    ),
    Operation(
        "create_group",
        "POST",
        _ALL,
        ROLES_WRITE,
        "Create a group, with the roles that it carries",
        _create,
        answer=GroupDocument,
        body=NewGroup,
        tagged=True,
        status=201,
        refusals=(Existing, InsufficientScope),
    ),
    Operation(
        "read_group",
        "GET",
        _ONE,
        ROLES_READ,
        "Show a group",
        _read,
        answer=GroupDocument,
        tagged=True,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "change_group",
        "PATCH",
        _ONE,
        ROLES_WRITE,
        "Change a group's description, or the roles that it carries",
        _change,
        answer=GroupDocument,
        body=GroupChange,
        current=_current,
        tagged=True,
        refusals=(InsufficientScope, LastOwner, ResourceNotFound),
    ),
    Operation(
        "delete_group",
        "DELETE",
        _ONE,
        ROLES_WRITE,
        "Delete a group; its members stay, without what it gave them",
        _delete,
        current=_current,
        refusals=(InsufficientScope, LastOwner, ResourceNotFound),
    ),
    Operation(
        "list_members",
        "GET",
        _MEMBERS,
        ROLES_READ,
        "List a group's members by name",
        _members,
        answer=Page[MemberDocument],
        query=PageQuery,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "add_member",
        "PUT",
        f"{_MEMBERS}/{{user_id}}",
        ROLES_WRITE,
        "Put a user into a group",
        _add,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "remove_member",
        "DELETE",
        f"{_MEMBERS}/{{user_id}}",
        ROLES_WRITE,
        "Take a user out of a group",
        _remove,
        refusals=(InsufficientScope, LastOwner, ResourceNotFound),
    ),
)

"""``/tenants/{slug}/users``: the people of a tenant. What they log in with is user_security.py's."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr

from gateway.admin.chosen_password import hashing_of, require_enough, requires_factor
from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Nothing, Page
from gateway.admin.errors import (
    Existing,
    InsufficientScope,
    LastOwner,
    MailNotConfigured,
    PasswordsBusy,
    ResourceNotFound,
    ValidationFailed,
)
from gateway.admin.givable import require_givable
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.owners import require_another_owner
from gateway.authn.new_password import HashedPassword
from policies.administration import USERS_READ, USERS_SUPPORT, USERS_WRITE
from tenants.acts import users as acts
from tenants.acts.invitations import require_free
from tenants.user_names import look_up_key
from tenants.users import User

_MOST_ROLES = 100
_MOST_GROUPS = 100
Address = Annotated[str, Field(max_length=254)]


class UserChange(Document):
    """What can be changed. A user who is named by their address gets another name with another address."""

    email: Address | None = None
    email_verified: bool = False
    active: bool = True


class UserDocument(UserChange):
    """``id`` is the ``sub`` of their tokens; ``roles`` are their own, beside those that their groups carry. Who is
    being erased (``erasing_since``) cannot be enabled again.
    """

    id: UUID
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    erasing_since: datetime | None
    created_at: datetime


class NewUser(Document):
    """``password`` null: a letter leads to where they choose one. ``must_change``: the first login asks for another."""

    name: Annotated[str, Field(min_length=1, max_length=254)]
    email: Address | None = None
    email_verified: bool = False
    roles: Annotated[tuple[str, ...], Field(max_length=_MOST_ROLES)] = ()
    groups: Annotated[tuple[str, ...], Field(max_length=_MOST_GROUPS)] = ()
    password: SecretStr | None = None
    must_change: bool = False


class UsersQuery(PageQuery):
    """``name`` is how the name begins, in any spelling."""

    name: Annotated[str, Field(min_length=1, max_length=254, description="How the name begins.")] | None = None
    active: bool | None = None


async def found_user(call: Call) -> User:
    """The user of the path. Raises ResourceNotFound."""
    user = await call.store.users.get(call.uuid("user_id"), hold=call.holds)
    if user is None:
        raise ResourceNotFound
    return user


async def touched_user(call: Call) -> User:
    """The user of the path, if the caller has all that they have.

    Raises:
        InsufficientScope: they have more.
        ResourceNotFound: there is none.
    """
    user = await found_user(call)
    call.require_own(await call.store.roles.scopes_of(user.id))
    return user


async def _document(call: Call, user: User) -> UserDocument:
    roles, groups = await call.store.roles.of_user(user.id), await call.store.groups.of_user(user.id)
    return _shown(user, tuple(roles), tuple(groups))


def _shown(user: User, roles: tuple[str, ...], groups: tuple[str, ...]) -> UserDocument:
    return UserDocument(
        id=user.id,
        name=user.name,
        email=user.email,
        email_verified=user.email_verified,
        active=user.active,
        roles=roles,
        groups=groups,
        erasing_since=user.erasing_since,
        created_at=user.created_at,
    )


async def _current(call: Call) -> UserDocument:
    return await _document(call, await found_user(call))


async def _list(call: Call) -> Answer:
    place, query = call.place(), call.query
    begins = None if query.name is None else look_up_key(query.name)
    if query.name is not None and begins is None:  # nobody's name begins so
        return Answer(call.page([], None))
    found = await call.store.users.list(
        after=place[0] if place else "", limit=query.limit + 1, begins=begins or "", active=query.active
    )
    page = found[: query.limit]
    ids = [user.id for user in page]
    roles, groups = await call.store.roles.of_users(ids), await call.store.groups.of_users(ids)
    shown = [_shown(user, tuple(roles.get(user.id, ())), tuple(groups.get(user.id, ()))) for user in page]
    return Answer(call.page(shown, [page[-1].key] if len(found) > query.limit else None))


async def _prepare(call: Call) -> Callable[[], Awaitable[HashedPassword]] | None:
    wanted: NewUser = call.body
    if wanted.password is None:
        if wanted.must_change:
            raise ValidationFailed([{"pointer": "/must_change", "detail": "there is no password to be changed"}])
        return None
    await require_givable(call, wanted.roles, wanted.groups)
    await require_free(call.store, name=wanted.name, email=wanted.email)
    second_factor = await _needs_factor(call, wanted)
    return hashing_of(call, wanted.password, user_name=wanted.name, email=wanted.email, second_factor=second_factor)


async def _needs_factor(call: Call, wanted: NewUser) -> bool:
    carried = await call.store.groups.roles_of(wanted.groups)
    return requires_factor(call, {*wanted.roles, *(role for roles in carried.values() for role in roles)})


async def _create(call: Call) -> Answer:
    wanted: NewUser = call.body
    if wanted.password is not None and call.prepared is None:  # an answer that was kept a moment ago is forgotten now
        raise PasswordsBusy
    await require_givable(call, wanted.roles, wanted.groups)
    made = await acts.create(
        call.store,
        call.by,
        wanted.name,
        email=wanted.email,
        email_verified=wanted.email_verified,
        roles=wanted.roles,
        groups=wanted.groups,
    )
    if call.prepared is not None:
        require_enough(call.prepared, second_factor=await _needs_factor(call, wanted))
        stored = acts.StoredPassword(call.prepared.hash, call.prepared.stands_alone, wanted.must_change)
        await acts.set_first_password(call.store, made, stored)
    return Answer(await _document(call, made), location=f"{call.base}/users/{made.id}")


async def _read(call: Call) -> Answer:
    return Answer(await _current(call))


async def _change(call: Call) -> Answer:
    wanted: UserChange = call.body
    user = await touched_user(call)
    if wanted.email is None and user.email is not None:
        raise ValidationFailed([{"pointer": "/email", "detail": "an address can be changed, and not taken away"}])
    if wanted.email is None and wanted.email_verified:
        raise ValidationFailed([{"pointer": "/email_verified", "detail": "there is no address to be verified"}])
    if user.active and not wanted.active:
        await require_another_owner(call, user)
    changed = user
    if wanted.email is not None and (wanted.email, wanted.email_verified) != (user.email, user.email_verified):
        changed = await acts.set_email(call.store, call.by, user, wanted.email, verified=wanted.email_verified)
    if wanted.active != user.active:
        await acts.set_active(call.store, call.by, changed, wanted.active)
    return Answer(await _current(call))


async def _delete(call: Call) -> Answer:
    user = await touched_user(call)
    await require_another_owner(call, user)
    await acts.delete(call.store, call.by, user)
    return Answer()


async def _send_reset(call: Call) -> Answer:
    user = await touched_user(call)
    if not call.services.installation.settings.mail.configured:
        raise MailNotConfigured
    if user.email is None or not user.active or not call.tenant.active:
        raise ValidationFailed([{"detail": "the user has no address, or they or the tenant cannot log in at present"}])
    await acts.send_reset(call.store, call.by, user)
    return Answer()


_ONE = "/tenants/{slug}/users/{user_id}"
OPERATIONS = (
    Operation(
        "list_users",
        "GET",
        "/tenants/{slug}/users",
        USERS_READ,
        "List users by name",
        _list,
        answer=Page[UserDocument],
        query=UsersQuery,
    ),
    Operation(
        "create_user",
        "POST",
        "/tenants/{slug}/users",
        USERS_WRITE,
        "Create a user",
        _create,
        answer=UserDocument,
        body=NewUser,
        prepare=_prepare,
        tagged=True,
        status=201,
        refusals=(Existing, InsufficientScope, PasswordsBusy),
    ),
    Operation(
        "read_user",
        "GET",
        _ONE,
        USERS_READ,
        "Show a user",
        _read,
        answer=UserDocument,
        tagged=True,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "change_user",
        "PATCH",
        _ONE,
        USERS_WRITE,
        "Change a user's address, or disable or enable them",
        _change,
        answer=UserDocument,
        body=UserChange,
        current=_current,
        tagged=True,
        refusals=(Existing, InsufficientScope, LastOwner, ResourceNotFound),
    ),
    Operation(
        "delete_user",
        "DELETE",
        _ONE,
        USERS_WRITE,
        "Delete a user; what they got is refused at once, and the audit log stays",
        _delete,
        current=_current,
        refusals=(InsufficientScope, LastOwner, ResourceNotFound),
    ),
    Operation(
        "send_reset_letter",
        "POST",
        f"{_ONE}/reset-letter",
        USERS_SUPPORT,
        "Send a letter with a link to a new password",
        _send_reset,
        body=Nothing,
        body_optional=True,
        refusals=(InsufficientScope, MailNotConfigured, ResourceNotFound),
    ),
)

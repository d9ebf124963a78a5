"""What a user logs in with, and where they are logged in: sessions, second factors, roles that they have.

A second factor is counted and named, and never read.
"""

from datetime import datetime
from uuid import UUID

from gateway.admin.document import Document, Nothing, Page
from gateway.admin.errors import InsufficientScope, LastOwner, ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.owners import require_another_owner
from gateway.admin.users import found_user, touched_user
from policies.administration import OWNER, ROLES_WRITE, USERS_READ, USERS_SUPPORT
from tenants.acts import users as acts
from tenants.roles import Role


class SessionDocument(Document):
    """``id`` is the ``sid`` of its tokens."""

    id: UUID
    client_id: str | None
    acr: str
    amr: tuple[str, ...]
    address: str
    user_agent: str
    auth_time: datetime
    created_at: datetime | None
    seen_at: datetime | None
    expires_at: datetime


class FactorDocument(Document):
    """An authenticator that counts."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


class Factors(Document):
    """``recovery_codes_left``: how many are good still."""

    items: tuple[FactorDocument, ...]
    recovery_codes_left: int


class SessionsEnded(Document):
    """How many."""

    sessions_ended: int


class FactorsReset(Document):
    """How much of each is gone."""

    factors: int
    devices: int
    sessions_ended: int


async def _sessions(call: Call) -> Answer:
    """Those that live; a user has a bounded number of them, so they are one page."""
    user = await found_user(call)
    shown = [
        SessionDocument(
            id=each.id,
            client_id=each.client_id,
            acr=each.acr,
            amr=tuple(sorted(each.amr)),
            address=each.visitor.address,
            user_agent=each.visitor.user_agent,
            auth_time=each.auth_time,
            created_at=each.created_at,
            seen_at=each.seen_at,
            expires_at=each.expires_at,
        )
        for each in await call.store.sessions.of_user(user.id)
    ]
    return Answer(Page[SessionDocument](items=tuple(shown), next_cursor=None))


async def _end_session(call: Call) -> Answer:
    user = await touched_user(call)
    await acts.end_session(call.store, call.by, user, call.uuid("session_id"))
    return Answer()


async def _end_sessions(call: Call) -> Answer:
    user = await touched_user(call)
    return Answer(SessionsEnded(sessions_ended=await acts.end_sessions(call.store, call.by, user)))


async def _factors(call: Call) -> Answer:
    user = await found_user(call)
    shown = tuple(
        FactorDocument(id=each.id, name=each.name, created_at=each.created_at, last_used_at=each.last_used_at)
        for each in await call.store.factors.of_user(user.id)
    )
    left = await call.store.recovery_codes.left(user.id)
    return Answer(Factors(items=shown, recovery_codes_left=left))


async def _reset_factors(call: Call) -> Answer:
    user = await touched_user(call)
    gone = await acts.reset_factors(call.store, call.by, user)
    return Answer(FactorsReset(factors=gone.factors, devices=gone.devices, sessions_ended=gone.sessions_ended))


async def _unlock(call: Call) -> Answer:
    """The counters are cleared behind the transaction, since attempts hold them the other way round."""
    user = await touched_user(call)
    counters, store = await acts.unlock(call.store, call.by, user), call.services.installation.store

    async def clear() -> None:
        for counter in counters:
            async with store.for_tenant(call.tenant_id) as its:
                await its.throttles.clear(counter)

    return Answer(afterwards=clear)


async def _role(call: Call) -> Role:
    role = await call.store.roles.get(call.parameters["role"])
    if role is None:
        raise ResourceNotFound
    return role


async def _give_role(call: Call) -> Answer:
    user, role = await found_user(call), await _role(call)
    call.require_own(role.scopes)
    if role.name not in await call.store.roles.of_user(user.id):
        await acts.assign(call.store, call.by, user, role.name)
    return Answer()


async def _take_role(call: Call) -> Answer:
    user, role = await found_user(call), await _role(call)
    call.require_own(role.scopes)
    if role.name == OWNER:
        await require_another_owner(call, user)
    if role.name in await call.store.roles.of_user(user.id):
        await acts.withdraw(call.store, call.by, user, role.name)
    return Answer()


_USER = "/tenants/{slug}/users/{user_id}"
OPERATIONS = (
    Operation(
        "list_sessions",
        "GET",
        f"{_USER}/sessions",
        USERS_READ,
        "List a user's sessions, the newest login first",
        _sessions,
        answer=Page[SessionDocument],
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "end_sessions",
        "DELETE",
        f"{_USER}/sessions",
        USERS_SUPPORT,
        "End all of a user's sessions, and refuse their tokens within a second",
        _end_sessions,
        answer=SessionsEnded,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "end_session",
        "DELETE",
        f"{_USER}/sessions/{{session_id}}",
        USERS_SUPPORT,
        "End one session",
        _end_session,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "list_factors",
        "GET",
        f"{_USER}/factors",
        USERS_READ,
        "List a user's authenticators; their secrets are never shown",
        _factors,
        answer=Factors,
        refusals=(ResourceNotFound,),
    ),
    Operation(
        "reset_factors",
        "DELETE",
        f"{_USER}/factors",
        USERS_SUPPORT,
        "Take authenticators, recovery codes and devices from a user, and end their sessions",
        _reset_factors,
        answer=FactorsReset,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "unlock_user",
        "POST",
        f"{_USER}/unlock",
        USERS_SUPPORT,
        "Forget a user's failed logins and codes, so that they need not wait",
        _unlock,
        body=Nothing,
        body_optional=True,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "give_role",
        "PUT",
        f"{_USER}/roles/{{role}}",
        ROLES_WRITE,
        "Give a user a role",
        _give_role,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
    Operation(
        "take_role",
        "DELETE",
        f"{_USER}/roles/{{role}}",
        ROLES_WRITE,
        "Take a role from a user",
        _take_role,
        refusals=(InsufficientScope, LastOwner, ResourceNotFound),
    ),
)

"""``/tenants/{slug}/users/{user_id}/password``: an administrator sets somebody's password.

Whoever does can log in as that person, where no second factor is asked. So nobody sets the password of who has more
rights than they have.
"""

from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from gateway.admin.chosen_password import has_factor, hashing_of, require_enough
from gateway.admin.document import Document
from gateway.admin.errors import InsufficientScope, PasswordsBusy, ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.user_security import SessionsEnded
from gateway.admin.users import touched_user
from gateway.authn.new_password import HashedPassword
from policies.administration import USERS_WRITE
from tenants.acts import users as acts


class NewPassword(Document):
    """``must_change``: the next login asks for another one. Sessions end, unless ``end_sessions`` is false."""

    password: SecretStr
    must_change: bool = False
    end_sessions: bool = True


async def _prepare(call: Call) -> Callable[[], Awaitable[HashedPassword]]:
    user = await touched_user(call)
    second_factor = await has_factor(call, user)
    return hashing_of(call, call.body.password, user_name=user.name, email=user.email, second_factor=second_factor)


async def _set(call: Call) -> Answer:
    wanted: NewPassword = call.body
    user, made = await touched_user(call), call.prepared
    require_enough(made, second_factor=await has_factor(call, user))
    ended = await acts.set_password(
        call.store,
        call.by,
        user,
        acts.StoredPassword(made.hash, made.stands_alone, wanted.must_change),
        end_sessions=wanted.end_sessions,
    )
    return Answer(SessionsEnded(sessions_ended=ended))


OPERATIONS = (
    Operation(
        "set_password",
        "PUT",
        "/tenants/{slug}/users/{user_id}/password",
        USERS_WRITE,
        "Set a user's password, and end their sessions",
        _set,
        answer=SessionsEnded,
        body=NewPassword,
        prepare=_prepare,
        refusals=(InsufficientScope, PasswordsBusy, ResourceNotFound),
    ),
)

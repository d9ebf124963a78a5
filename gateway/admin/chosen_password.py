"""A password that an administrator chooses for somebody: judged and hashed while no transaction is open.

So an operation that takes one asks everything twice: before, so that nothing is hashed for who may not, and in the
transaction that stores it. It is never shown, logged or kept.
"""

from collections.abc import Awaitable, Callable, Iterable

from pydantic import SecretStr

from gateway.admin.errors import PasswordsBusy, ValidationFailed
from gateway.admin.operation import Call
from gateway.authn.new_password import HashedPassword, RefusedPassword
from gateway.errors import HashingBusy
from tenants.users import User


async def has_factor(call: Call, user: User) -> bool:
    """Whether their login needs a second factor, so that a shorter password will do."""
    if await call.store.factors.has_any(user.id):
        return True
    return requires_factor(call, await call.store.roles.held_by(user.id))


def requires_factor(call: Call, roles: Iterable[str]) -> bool:
    """Likewise, of somebody who is to hold these roles."""
    people = call.tenant.people
    return people.otp == "required" or not set(people.otp_roles).isdisjoint(roles)


def hashing_of(
    call: Call, password: SecretStr, *, user_name: str, email: str | None, second_factor: bool
) -> Callable[[], Awaitable[HashedPassword]]:
    """What makes the hash. It raises PasswordsBusy, or ValidationFailed with the rule that the password breaks."""
    passwords, tenant = call.services.passwords, call.tenant

    async def make() -> HashedPassword:
        try:
            made = await passwords.make(
                password.get_secret_value(),
                tenant=tenant,
                user_name=user_name,
                email=email,
                second_factor=second_factor,
            )
        except HashingBusy as busy:
            raise PasswordsBusy(reason="hashing_unavailable", retry_after=busy.retry_after) from busy
        if isinstance(made, RefusedPassword):
            raise ValidationFailed([{"pointer": "/password", "detail": made.text}])
        return made

    return make


def require_enough(made: HashedPassword, *, second_factor: bool) -> None:
    """Raises ValidationFailed: the second factor is gone that it was to stand beside."""
    if not made.stands_alone and not second_factor:
        raise ValidationFailed([{"pointer": "/password", "detail": "it is too short without a second factor"}])

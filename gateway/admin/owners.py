"""The platform keeps an operator who may do everything: else nobody could give that back."""

from gateway import urls
from gateway.admin.errors import LastOwner
from gateway.admin.operation import Call
from policies.administration import OWNER
from tenants.users import User

_MOST = 100


async def require_another_owner(call: Call, user: User) -> None:
    """Whether somebody else is owner still, if this operator stops to be. Administrative changes of a tenant go one
    after the other, so two owners cannot take each other out at once.

    Raises:
        LastOwner: nobody else is.
    """
    if call.tenant.slug != urls.PLATFORM or OWNER not in await call.store.roles.of_user(user.id):
        return
    for user_id in await call.store.roles.holders(OWNER, most=_MOST):
        other = None if user_id == user.id else await call.store.users.get(user_id)
        if other is not None and other.active:
            return
    raise LastOwner

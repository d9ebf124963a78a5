"""The platform keeps an operator who may do everything: else nobody could give that back."""

from gateway import urls
from gateway.admin.errors import LastOwner
from gateway.admin.operation import Call
from policies.administration import OWNER
from tenants.groups import Group
from tenants.users import User


async def require_another_owner(call: Call, user: User) -> None:
    """Whether somebody else is owner still, if this operator stops to be. Administrative changes of a tenant go one
    after the other, so two owners cannot take each other out at once.

    Raises:
        LastOwner: nobody else is.
    """
    if call.tenant.slug != urls.PLATFORM or OWNER not in await call.store.roles.held_by(user.id):
        return
    if not await call.store.roles.held_by_another(OWNER, but=user.id):
        raise LastOwner


async def require_owner_without(call: Call, group: Group, *, member: User | None = None) -> None:
    """Whether somebody is owner still, if this group makes nobody one; or if it does no more of ``member`` alone.

    Raises:
        LastOwner: nobody is.
    """
    if call.tenant.slug != urls.PLATFORM or OWNER not in group.roles:
        return
    roles = call.store.roles
    if await roles.held_by_another(OWNER, without_group=group.name):
        return
    if member is None or not await roles.held_by_another(OWNER, but=member.id):
        raise LastOwner

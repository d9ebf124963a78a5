"""``/tenants/{slug}/throttles``: who has to wait before they may try again, and letting them.

A counter is named by what it counts and a digest: whoever reads the list learns of no name that somebody typed.
"""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Page
from gateway.admin.errors import InsufficientScope, ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from policies.administration import USERS_READ, USERS_SUPPORT
from tenants import throttles
from tenants.acts import throttles as acts
from tenants.throttles import Counter, Kind, Slowed


class ThrottlesQuery(PageQuery):
    """``account`` and ``network`` ask for one: nothing else says which of them is whose."""

    account: Annotated[str, Field(min_length=1, max_length=254, description="A name, as it is typed at the login.")] | (
        None
    ) = None
    network: Annotated[str, Field(min_length=1, max_length=64, description="As 192.0.2.1/32 or 2001:db8::/64.")] | (
        None
    ) = None


class ThrottleDocument(Document):
    """``failures`` are attempts that did not succeed, ``last_at`` is the last of them, and until ``until`` the next is
    refused.
    """

    id: str
    kind: Kind
    failures: int
    last_at: datetime
    until: datetime


def _shown(found: Slowed) -> ThrottleDocument:
    return ThrottleDocument(
        id=acts.name_of(found.counter),
        kind=found.counter.kind,
        failures=found.failures,
        last_at=found.last_at,
        until=found.until,
    )


async def _list(call: Call) -> Answer:
    """A page may be short and go on: how long each has to wait is not the database's to know."""
    query: ThrottlesQuery = call.query
    named = [
        *(() if query.account is None else (throttles.account(query.account),)),
        *(() if query.network is None else (throttles.network(query.network),)),
    ]
    if named:
        found = [await call.store.throttles.find(counter) for counter in named]
        return Answer(call.page([_shown(one) for one in found if one is not None], None))
    place = call.place()
    after = None if place is None else Counter(place[0], place[1])
    slowed, last = await call.store.throttles.slowed(after=after, limit=query.limit)
    return Answer(call.page([_shown(one) for one in slowed], None if last is None else [last.kind, last.subject]))


async def _lift(call: Call) -> Answer:
    """Cleared behind the transaction, as in ``unlock_user``: attempts hold counters the other way round."""
    name, store = call.parameters["throttle_id"], call.services.installation.store
    call.require_own(await acts.touched_by(call.store, acts.counter_of(name)))
    counter = await acts.lift(call.store, call.by, name)

    async def clear() -> None:
        async with store.for_tenant(call.tenant_id) as its:
            await its.throttles.clear(counter)

    return Answer(afterwards=clear)


_ALL = "/tenants/{slug}/throttles"
OPERATIONS = (
    Operation(
        "list_throttles",
        "GET",
        _ALL,
        USERS_READ,
        "List what slows accounts and networks down now; a page may be short and go on",
        _list,
        answer=Page[ThrottleDocument],
        query=ThrottlesQuery,
    ),
    Operation(
        "lift_throttle",
        "DELETE",
        f"{_ALL}/{{throttle_id}}",
        USERS_SUPPORT,
        "Let those try again who have to wait for it; what is no network's wants every scope of the tenant's roles",
        _lift,
        refusals=(InsufficientScope, ResourceNotFound),
    ),
)

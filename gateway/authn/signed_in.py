"""Who a browser's session cookie stands for, in this transaction: the question that every page asks which needs a
session.

Owns what a session needs to count: it lives (neither ended, over nor idle for too long), its user is active, and
``policies.login`` lets it go on. Not what a page does without one.
"""

from dataclasses import dataclass
from datetime import datetime

from gateway.authn.completion import session_facts
from gateway.errors import TenantNotFound
from gateway.pages.visit import Visit
from policies import login
from policies.decision import Allow, Deny
from policies.login import SessionFacts
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that this browser has, and may go on with. ``facts`` are those that a step-up is decided by."""

    session: Session
    user: User
    facts: SessionFacts


async def tenant_of(store: TenantStore) -> Tenant:
    """The tenant that is visited, as it is in this transaction.

    Raises:
        TenantNotFound: it was suspended or deleted, and this process has not heard of it yet.
    """
    tenant = await store.settings.get()
    if tenant is None or not tenant.active:
        raise TenantNotFound(reason="tenant_suspended")
    return tenant


async def signed_in(
    store: TenantStore, tenant: Tenant, visit: Visit, now: datetime, *, hold: bool = False
) -> SignedIn | None:
    """The browser's session. One that a second factor is missing for by now counts as none (rule 9).

    ``hold`` keeps anybody from changing the user until this transaction ends.
    """
    if visit.session_secret is None:
        return None
    session = await store.sessions.by_secret(visit.session_secret, idle=tenant.lifetimes.session_idle)
    user = None if session is None else await store.users.get(session.user_id, hold=hold)
    if session is None or user is None or not user.active:
        return None
    facts = await session_facts(store, tenant, user, session)
    match login.may_go_on(facts, now):
        case Allow():
            return SignedIn(session, user, facts)
        case Deny():
            return None

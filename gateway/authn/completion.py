"""What a login comes to: the facts that ``policies.login`` decides by, and the session once it allows."""

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime

from policies import login
from policies.login import FactorFacts, SessionFacts
from tenants.devices import Device
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User
from tenants.visitor import Visitor


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """A session in a browser, and the secrets of its cookies, which are shown this once. ``new_device``: its user had
    others, and never this one.
    """

    session: Session
    session_secret: str = field(repr=False)
    device_secret: str = field(repr=False)
    new_device: bool = False


async def factor_facts(
    store: TenantStore,
    tenant: Tenant,
    user: User,
    *,
    proved: Set[str],
    device: Device | None = None,
    wanted_acr: str | None = None,
    now: datetime,
) -> FactorFacts:
    """What is asked of this user, beside what was proved."""
    roles = await store.roles.held_by(user.id)
    return FactorFacts(
        proved=proved,
        has_factor=await store.factors.has_any(user.id),
        rule=tenant.people.rule_for(roles, made_at=user.created_at),
        device_trusted=device is not None and device.trusted_at(now),
        wanted_acr=wanted_acr,
    )


async def session_facts(store: TenantStore, tenant: Tenant, user: User, session: Session) -> SessionFacts:
    """What is asked of this user, beside what the session has."""
    roles = await store.roles.held_by(user.id)
    return session_facts_of(tenant, user, session, roles=roles, has_factor=await store.factors.has_any(user.id))


def session_facts_of(
    tenant: Tenant, user: User, session: Session, *, roles: frozenset[str], has_factor: bool
) -> SessionFacts:
    """The same, of what was read already."""
    return SessionFacts(
        acr=session.acr,
        amr=session.amr,
        auth_time=session.auth_time,
        factor_waived=session.factor_waived,
        has_factor=has_factor,
        rule=tenant.people.rule_for(roles, made_at=user.created_at),
    )


async def start_by_api(
    store: TenantStore,
    tenant: Tenant,
    user: User,
    *,
    proved: Set[str],
    client_id: str,
    visitor: Visitor,
    now: datetime,
) -> Session:
    """A session without a browser; the network it comes from is known from now on."""
    acr, amr = login.achieved(proved)
    await store.devices.remember_network(user.id, visitor.network)
    return await store.sessions.start(
        user.id, acr=acr, amr=amr, expires_at=now + tenant.lifetimes.session, visitor=visitor, client_id=client_id
    )


async def start_for_device(
    store: TenantStore, tenant: Tenant, approved_in: Session, *, client_id: str, visitor: Visitor, now: datetime
) -> Session:
    """A session of a device that was approved in another one (RFC 8628): as strong and as old as that, and ended alone.

    Nobody has authenticated from the device's network, so it is not known from now on. Where the browser's device is
    forgotten because it was lost, what was approved with it ends as well.
    """
    return await store.sessions.start(
        approved_in.user_id,
        acr=approved_in.acr,
        amr=approved_in.amr,
        auth_time=approved_in.auth_time,
        expires_at=now + tenant.lifetimes.session,
        visitor=visitor,
        client_id=client_id,
        device_id=approved_in.device_id,
        factor_waived=approved_in.factor_waived,
    )


async def start_in_browser(
    store: TenantStore,
    tenant: Tenant,
    user: User,
    *,
    facts: FactorFacts,
    visitor: Visitor,
    device_secret: str | None,
    trust_device: bool,
    running: Session | None,
    step_up: bool,
    now: datetime,
) -> BrowserLogin | None:
    """A session in this browser, which is a known device from now on. Its cookie gets a new secret in any case
    (fixation).

    ``running`` is the session that the browser has: of the same user it is stepped up and goes on, of another it ends.
    None where that was all that was wanted (``step_up``) and it has ended meanwhile: what it had proved went with it.
    """
    acr, amr = login.achieved(facts.proved)
    lifetimes = tenant.lifetimes
    second = bool({"otp", "recovery"} & facts.proved)
    trusts = trust_device and second and facts.rule.devices_trusted
    device, secret, is_new = await store.devices.remember(
        user.id,
        device_secret,
        visitor=visitor,
        lifetime=lifetimes.known_device,
        trusted_for=lifetimes.trusted_device if trusts else None,
    )
    # The first one of all is the one that the account was made on.
    is_another = is_new and len(await store.devices.of_user(user.id)) > 1
    if is_another:
        await store.mail_outbox.add(
            "new_device",
            {
                "user_id": str(user.id),
                "address": visitor.address,
                "user_agent": visitor.user_agent,
                "at": now.isoformat(),
            },
        )
    waived = facts.has_factor and not second
    if running is not None and running.user_id == user.id and not waived:  # else it would fall to what was proved now
        renewed = await store.sessions.renew(running, acr=acr, amr=amr)
        if renewed is not None:
            return BrowserLogin(renewed[0], renewed[1], secret, is_another)
        if step_up:
            return None
    elif step_up:
        return None
    elif running is not None:
        await store.sessions.end(running.id)
    session, session_secret = await store.sessions.start_in_browser(
        user.id,
        acr=acr,
        amr=amr,
        expires_at=now + lifetimes.session,
        visitor=visitor,
        device_id=device.id,
        factor_waived=waived,
    )
    return BrowserLogin(session, session_secret, secret, is_another)

"""``/account/devices``: the browsers that are known to be somebody's, and those that stand in for a second factor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.account.entry import Account, enter, id_in
from gateway.account.user_agent import summary
from gateway.errors import NotFound
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from gateway.place import Places
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device as its owner sees it. ``trusted_until`` is None where the second factor is asked for in any case."""

    id: UUID
    device: str
    address: str
    place: str
    since: datetime
    seen: datetime
    trusted_until: datetime | None
    is_this: bool


async def device_lines(store: TenantStore, account: Account, places: Places, now: datetime) -> Sequence[DeviceLine]:
    """Those that are known, the last seen first. Trust is shown where it is worth something (``policies.login``)."""
    counts = account.facts.has_factor and account.facts.rule.devices_trusted
    return [
        DeviceLine(
            id=device.id,
            device=summary(device.visitor.user_agent),
            address=device.visitor.address,
            place=places.of(device.visitor.address),
            since=device.created_at,
            seen=device.seen_at,
            trusted_until=device.trusted_until if counts and device.trusted_at(now) else None,
            is_this=device.id == account.session.device_id,
        )
        for device in await store.devices.of_user(account.user.id)
    ]


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """Lists them; forgets the one in the field ``device``, or with ``all`` every one of them."""

    site: Site
    places: Places

    async def show(self, visit: Visit) -> Answer:
        """The list."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            lines = await device_lines(store, account, self.places, self.site.now())
            return account.show("account/devices.html", "Devices", {"devices": lines})

    async def submit(self, visit: Visit) -> Answer:
        """Forget what was asked for: its trust, and the sessions that began on it."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            if visit.form.optional("all") is not None:
                await self._forget_all(store, visit, account)
                return Go(f"{visit.base}/account/devices")
            device_id = id_in(visit.form.text("device"))
            if not await store.devices.revoke(account.user.id, device_id):
                raise NotFound(reason="device_unknown")
            ended = await store.sessions.end_of_device(account.user.id, device_id)
            await store.audit.add(
                visit.event("device.revoked", "success", user=account.user, device=str(device_id), sessions_ended=ended)
            )
            if device_id == account.session.device_id:
                return Go(f"{visit.base}/login", {"session": None, "login": None, "device": None})
            return Go(f"{visit.base}/account/devices")

    async def _forget_all(self, store: TenantStore, visit: Visit, account: Account) -> None:
        """Every other session ends with them; this one goes on, its browser is known again from the next login on."""
        forgotten = await store.devices.revoke_all(account.user.id)
        ended = await store.sessions.end_others(account.user.id, account.session.id)
        await store.audit.add(
            visit.event(
                "device.revoked",
                "success",
                reason="all",
                user=account.user,
                devices=forgotten,
                sessions_ended=ended,
            )
        )

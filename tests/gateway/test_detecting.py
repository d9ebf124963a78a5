"""Logs are looked through behind the sequencer: what calls for attention is told in them, once, on both databases."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from gateway.config_told import PARTS, ConfigTold, taken
from gateway.detecting import Detecting
from gateway.place import Places
from gateway.settings import Settings
from policies.detection import KINDS, Kind
from policies.sightings import Rule
from tenants import detections
from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.audit_selection import Selection
from tenants.cluster_tables import turns as turns_table
from tenants.database import Database
from tenants.detection_policy import DetectionPolicy
from tenants.detection_tables import audit_watches
from tenants.detections import EVENTS_AT_ONCE, Progress
from tenants.directory import Directory
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.turns import Turns
from tests.conftest import Clock
from tests.gateway.conftest import settings_for
from tests.gateway.test_place import BERLIN
from tests.gateway.test_place import database as places_file

MINUTE = timedelta(minutes=1)
ICELAND = {"country": {"iso_code": "IS", "names": {"en": "Iceland"}}}


class Town(NamedTuple):
    """Two tenants, and what looks through their logs."""

    acme: Tenant
    globex: Tenant
    store: Store
    database: Database
    clock: Clock
    detecting: Detecting

    async def tell(self, *events: Event, of: Tenant | None = None) -> None:
        tenant = of or self.acme
        await AuditLog(self.database).observe([(tenant.id, self.clock(), event) for event in events])
        while await AuditLog(self.database).sequence():
            pass

    async def look(self) -> None:
        """A run, as of the next turn; what it tells is in the log then."""
        self.clock.advance(seconds=2)
        await self.detecting.run()
        while await AuditLog(self.database).sequence():
            pass

    async def found(self, of: Tenant | None = None) -> list[dict[str, Any]]:
        tenant, asked = of or self.acme, Selection(types=("detection.*",))
        entries = AuditLog(self.database).export(tenant.id, selection=asked)
        return [json.loads(entry.event) async for entry in entries if entry.event is not None]

    async def place(self, of: Tenant | None = None) -> Progress:
        async with self.store.for_tenant((of or self.acme).id, read_only=True) as store:
            return await store.detections.progress()

    async def set(self, **rules: Rule | None) -> None:
        named: dict[Kind, Rule | None] = {kind: rules[kind] for kind in KINDS if kind in rules}
        async with self.store.for_tenant(self.acme.id) as store:
            await store.settings.set_detections(DetectionPolicy().changed(named))


@pytest.fixture
async def town(database: Database, store: Store, directory: Directory, clock: Clock) -> Town:
    tenants = [
        await directory.create(slug=slug, name=slug, issuer=f"http://localhost/t/{slug}", actor="test")
        for slug in ("acme", "globex")
    ]
    detecting = Detecting(database, store, Turns(database, clock), Places(None), clock)
    return Town(tenants[0], tenants[1], store, database, clock, detecting)


def sprayed(count: int, address: str = "192.0.2.1", **fields: Any) -> Sequence[Event]:
    return [
        Event("login.refused", "refused", "wrong_password", subject=f"user-{n}", address=address, **fields)
        for n in range(count)
    ]


async def test_a_pattern_is_told_in_its_log_with_its_severity(town: Town) -> None:
    await town.tell(*sprayed(30))
    await town.look()
    (told,) = await town.found()
    assert (told["type"], told["outcome"], told["severity"]) == (
        "detection.accounts_from_network",
        "notice",
        "high",
    )
    assert (told["address"], told["count"]) == ("192.0.2.1", 30)
    assert (told["details"]["threshold"], told["details"]["window"]) == (30, 600)
    assert "subject" not in told  # it is about none of them more than about others
    assert await AuditLog(town.database).entry(town.acme.id, told["details"]["event"])


async def test_nothing_is_told_of_another_tenants_events(town: Town) -> None:
    await town.tell(*sprayed(29))
    await town.tell(*sprayed(29), of=town.globex)
    await town.look()
    assert await town.found() == await town.found(town.globex) == []
    await town.tell(Event("login.refused", "refused", "wrong_password", subject="last", address="192.0.2.1"))
    await town.look()
    assert len(await town.found()) == 1
    assert await town.found(town.globex) == []


async def test_what_was_seen_is_kept_from_run_to_run(town: Town) -> None:
    for event in sprayed(30):
        await town.tell(event)
        await town.look()
    assert len(await town.found()) == 1


async def test_a_long_log_is_looked_through_in_steps(town: Town) -> None:
    refused = Event("login.refused", "refused", "wrong_password", subject="alice", address="192.0.2.1")
    await town.tell(*[refused] * (EVENTS_AT_ONCE + 1), *sprayed(30))
    await town.look()
    assert len(await town.found()) == 1


async def test_two_processes_at_once_tell_once(town: Town) -> None:
    await town.tell(*sprayed(30))
    other = Detecting(town.database, town.store, Turns(town.database, town.clock), Places(None), town.clock)
    await asyncio.gather(*(each._follow(town.acme.id) for each in (town.detecting, other, town.detecting, other)))
    await town.look()
    assert len(await town.found()) == 1


async def test_what_is_told_and_the_place_move_together(town: Town) -> None:
    """A process that ends between the two has told nothing, and the next one tells."""
    await town.tell(*sprayed(30))
    before = await town.place()

    async def end_in_between() -> None:
        async with town.store.for_tenant(town.acme.id) as store:
            assert await store.detections.advance(before, before.size, {})
            await store.audit.add(Event("detection.new_device", "notice"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await end_in_between()
    assert await town.place() == before
    await town.look()
    assert [told["type"] for told in await town.found()] == ["detection.accounts_from_network"]


async def test_who_comes_late_moves_nothing(town: Town) -> None:
    before = await town.place()
    for late in (False, True):
        async with town.store.for_tenant(town.acme.id) as store:
            assert await store.detections.advance(before, 1, {}) is not late
    now = await town.place()
    for late in (False, True):
        async with town.store.for_tenant(town.acme.id) as store:
            assert await store.detections.advance(now, 2, {"v": 1}) is not late
    assert ((await town.place()).position, (await town.place()).state) == (2, {"v": 1})


async def test_only_logs_that_grew_are_looked_at(town: Town) -> None:
    await AuditLog(town.database).sequence()
    assert set(await detections.behind(town.database, town.clock())) == {town.acme.id, town.globex.id}
    for _ in range(4):  # wherever a run begins
        each = [tenant_id async for tenant_id in town.detecting._waiting()]
        assert sorted(each) == sorted({town.acme.id, town.globex.id})
    await town.look()
    assert await detections.behind(town.database, town.clock()) == []
    await town.tell(*sprayed(1), of=town.globex)
    assert await detections.behind(town.database, town.clock()) == [town.globex.id]


async def test_a_turn_is_taken_only_where_there_is_something_to_do(town: Town) -> None:
    await town.detecting.run()
    async with town.database.system_snapshot() as connection:
        assert (await connection.execute(turns_table.select())).all() == []


async def test_a_log_from_before_begins_with_its_last_hour(town: Town) -> None:
    await town.tell(*sprayed(29))
    town.clock.advance(hours=2)
    await town.tell(*sprayed(1))
    assert (await town.place()).position == 30
    await town.look()
    assert await town.found() == []


async def test_one_tenant_that_fails_holds_up_no_other(town: Town) -> None:
    for tenant in (town.acme, town.globex):
        await town.tell(*sprayed(30), of=tenant)
    async with town.store.for_tenant(town.acme.id) as store:
        assert await store.detections.advance(await store.detections.progress(), 0, {})
    broken = {"v": 1, "accounts_from_network": {"members": "no members"}}
    async with town.store.for_tenant(town.acme.id) as store:
        await store.detections._connection.execute(
            update(audit_watches).where(audit_watches.c.tenant_id == town.acme.id).values(state=broken)
        )
    with pytest.raises(ExceptionGroup):
        await town.look()
    await AuditLog(town.database).sequence()
    assert len(await town.found(town.globex)) == 1


async def test_a_kind_that_is_off_is_not_told(town: Town) -> None:
    await town.set(accounts_from_network=None)
    await town.tell(*sprayed(40))
    await town.look()
    assert await town.found() == []
    await town.set(**dict.fromkeys(KINDS))
    await town.tell(*sprayed(40))
    await town.look()
    assert (await town.place()).state == {}
    assert await detections.behind(town.database, town.clock()) == []


async def test_a_tenants_own_threshold(town: Town) -> None:
    await town.set(accounts_from_network=Rule(3, MINUTE))
    await town.tell(*sprayed(3))
    await town.look()
    assert [told["count"] for told in await town.found()] == [3]


async def test_each_kind_tells_what_it_is_about(town: Town, tmp_path: Path) -> None:
    """Who, where and why, as far as it is the matter; and nobody's country before their first one is known."""
    async with town.store.for_tenant(town.acme.id) as store:
        alice = str((await store.users.create("alice")).id)
    file = places_file(tmp_path / "city.mmdb", {"203.0.113.0/24": BERLIN, "198.51.100.0/24": ICELAND})
    who: dict[str, Any] = {"subject": alice, "user_name": "alice"}
    at_home, away, nowhere = "203.0.113.7", "198.51.100.7", "10.0.0.1"
    await town.tell(
        *[Event("login.succeeded", "success", address=where, **who) for where in (at_home, nowhere, at_home)],
        *[Event("login.refused", "refused", "wrong_code", address=f"192.0.2.{n}", **who) for n in range(10)],
        Event("token.refused", "refused", "client_mismatch", client_id="app", address=away),
        Event("login.succeeded", "success", address=away, details={"new_device": True}, **who),
        *[Event("token.refused", "refused", "scope_not_allowed", client_id="web") for _ in range(50)],
    )
    town.clock.advance(seconds=2)
    await Detecting(town.database, town.store, town.detecting.turns, Places(file), town.clock).run()
    await AuditLog(town.database).sequence()
    found = {told["type"].partition(".")[2]: told for told in await town.found()}
    assert found.keys() == {
        "networks_of_account",
        "steps_out_of_order",
        "new_device",
        "new_country",
        "client_refusals",
    }
    about = ("subject", "user_name", "client_id", "address", "reason", "count", "severity")
    assert {kind: {name: told[name] for name in about if name in told} for kind, told in found.items()} == {
        "networks_of_account": {**who, "count": 6, "severity": "medium"},
        "steps_out_of_order": {
            "client_id": "app",
            "address": away,
            "reason": "client_mismatch",
            "count": 1,
            "severity": "medium",
        },
        "new_device": {**who, "address": away, "count": 1, "severity": "low"},
        "new_country": {**who, "address": away, "count": 1, "severity": "medium"},
        "client_refusals": {"client_id": "web", "reason": "scope_not_allowed", "count": 50, "severity": "medium"},
    }
    assert found["new_country"]["details"]["country"] == "IS"
    async with town.store.for_tenant(town.acme.id, read_only=True) as store:
        assert await store.detections.countries([UUID(alice)]) == {(UUID(alice), "DE"), (UUID(alice), "IS")}


async def test_a_user_who_is_gone_leaves_no_country(town: Town) -> None:
    async with town.store.for_tenant(town.acme.id) as store:
        await store.detections.remember_country(uuid4(), "IS")
        alice = await store.users.create("alice")
        await store.detections.remember_country(alice.id, "IS")
        await store.detections.remember_country(alice.id, "IS")
        assert await store.detections.countries([alice.id]) == {(alice.id, "IS")}
        await store.users.delete(alice.id)
        assert await store.detections.countries([alice.id]) == set()


async def test_a_flood_of_networks_and_names_is_told_of_in_few_words(town: Town) -> None:
    flood = [
        Event("login.refused", "refused", "unknown_user", address=f"10.0.{n}.{m}", details={"account": f"{n}-{m}"})
        for n in range(40)
        for m in range(20)
    ]
    await town.tell(*flood, *[event for n in range(30) for event in sprayed(30, f"192.0.2.{n}")])
    await town.look()
    told = await town.found()
    for kind in ("accounts_from_network", "networks_of_account"):
        last = [one["details"].get("last") for one in told if one["type"] == f"detection.{kind}"]
        assert last == [None] * 19 + [True]
    assert len(told) == 40
    assert len(json.dumps(dict((await town.place()).state))) < 60_000


async def test_another_configuration_is_told_once_and_by_its_parts(town: Town, tmp_path: Path) -> None:
    first = settings_for(tmp_path)
    second = first.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})
    running = [first]
    processes = [ConfigTold(town.store, town.acme, lambda: running[0]) for _ in range(3)]
    for _ in range(2):  # the second time there is nothing to tell
        for process in processes:
            await process.run()
    await town.tell()
    await town.look()
    assert await town.found() == []
    running[0] = second
    for process in processes:
        await process.run()
    await town.tell()
    await town.look()
    (told,) = await town.found()
    assert (told["type"], told["severity"], told["config"]) == ("detection.config_changed", "medium", second.digest)
    assert told["details"]["changed"] == ["trusted_proxies"]
    took = AuditLog(town.database).export(town.acme.id, selection=Selection(types=("config.taken",)))
    assert len([entry async for entry in took]) == 6


def test_what_is_told_of_a_configuration_are_digests_of_settings_without_a_secret(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    parts = taken(settings).details["parts"]
    assert isinstance(parts, list)
    assert [part.partition(":")[0] for part in parts] == sorted(PARTS)
    assert all(re.fullmatch("[a-z_]+:[0-9a-f]{16}", part) for part in parts)
    secrets = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert secrets >= {"mail_password", "sink_secrets"}
    assert secrets.isdisjoint(PARTS)

"""How long events are kept is changed whole or not at all, and by one of two who read the same."""

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from tenants import audit_retention
from tests.gateway.admin.house import House

ACME = "/v1/tenants/acme"
DAY = 86_400


async def test_of_two_changes_with_one_etag_one_is_done(each_house: House) -> None:
    async with each_house.client(await each_house.operator()) as caller:
        tag = (await caller.get(ACME)).headers["etag"]
        changes = [{"lifetimes": {"audit_events": days * DAY}} for days in (30, 60)]
        answers = await asyncio.gather(*(caller.patch(ACME, change, tag=tag) for change in changes))
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        (done,) = [answer for answer in answers if answer.status_code == 200]
        kept = (await caller.get(ACME)).json()["lifetimes"]["audit_events"]
        assert done.json()["lifetimes"]["audit_events"] == kept
    told = [each for each in await each_house.world.events() if each["type"] == "tenant.configured"]
    assert len(told) == 1


async def test_it_is_changed_alone(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for more in ({"name": "Another"}, {"lifetimes": {"audit_events": DAY, "code": 30}}):
            answer = await caller.patch(ACME, {"lifetimes": {"audit_events": DAY}} | more)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/lifetimes/audit_events")
        shown = (await caller.get(ACME)).json()
        assert (shown["name"], shown["lifetimes"]["audit_events"]) == ("acme", None)
        assert (await caller.patch(ACME, {"lifetimes": {"audit_events": DAY}})).status_code == 200
        assert (await caller.patch(ACME, {"lifetimes": {"audit_events": None}})).json()["lifetimes"][
            "audit_events"
        ] is None


async def test_when_the_database_goes_away_nothing_was_changed_as_it_says(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> bool:
        raise OperationalError("SELECT 1", {}, ConnectionError("away"))

    async with house.client(await house.operator()) as caller:
        before = (await caller.get(ACME)).json()
        monkeypatch.setattr(audit_retention, "keep_events", away)
        answer = await caller.patch(ACME, {"lifetimes": {"audit_events": DAY}})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await caller.get(ACME)).json() == before

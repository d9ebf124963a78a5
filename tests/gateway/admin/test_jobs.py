"""Jobs as operators see them: how each went, what waits for it, and that it is done when they say."""

from datetime import timedelta

import pytest

from gateway.background import jobs_of
from gateway.job_list import JOBS
from gateway.jobs import Job
from tenants.job_runs import GIVEN_UP, JobRuns
from tests.gateway.admin.house import House

ACME = "/v1/tenants/acme"


def jobs(house: House) -> dict[str, Job]:
    world = house.world
    _, _, _, places, uses, fitness = world.parts
    found = jobs_of(world.installation, world.snapshot, world.recorder, places, uses, fitness, None)
    return {each.name: each for each in found}


async def listed(house: House) -> dict[str, dict[str, object]]:
    await house.world.snapshot.poll()  # the clock may have moved on
    async with house.client(await house.operator("auditor")) as caller:
        answer = await caller.get("/v1/jobs")
    assert answer.status_code == 200
    return {each["name"]: each for each in answer.json()["items"]}


async def test_a_job_is_there_before_it_was_ever_done(house: House) -> None:
    found = await listed(house)
    assert found.keys() == JOBS.keys()
    assert {each["outcome"] for each in found.values()} == {"never"}
    assert JOBS.keys() <= jobs(house).keys()


async def test_a_run_is_told_of_with_its_end_and_its_next_time(each_house: House) -> None:
    now = each_house.world.clock()
    await jobs(each_house)["pruning"].run()
    found = (await listed(each_house))["pruning"]
    assert (found["outcome"], found["failures"], found["problem"], found["duration_seconds"]) == (
        "succeeded",
        0,
        None,
        0.0,
    )
    assert found["next_at"] == (now + JOBS["pruning"].every).isoformat().replace("+00:00", "Z")


async def test_a_failure_is_told_by_its_kind_and_counted_until_it_goes_well(each_house: House) -> None:
    runs = JobRuns(each_house.world.installation.database, each_house.world.clock)
    for expected in (1, 2):
        with pytest.raises(ExceptionGroup):
            async with runs.told("keys"):
                raise ExceptionGroup("keys", [ValueError("a secret"), ValueError("another")])
        found = (await listed(each_house))["keys"]
        assert (found["outcome"], found["failures"], found["problem"]) == ("failed", expected, "ValueError (2)")
    async with runs.told("keys"):
        assert (await listed(each_house))["keys"]["outcome"] == "running"
    found = (await listed(each_house))["keys"]
    assert (found["outcome"], found["failures"], found["problem"]) == ("succeeded", 0, None)


async def test_a_run_whose_process_is_gone_is_broken_off(house: House) -> None:
    runs = JobRuns(house.world.installation.database, house.world.clock)
    async with runs.told("keys"):
        house.world.clock.advance(seconds=GIVEN_UP.total_seconds() + 1)
        assert (await listed(house))["keys"]["outcome"] == "broken_off"


async def test_a_job_is_done_once_in_its_turn_and_again_when_an_operator_says(each_house: House) -> None:
    world = each_house.world
    erase, runs = jobs(each_house)["audit_erasure"], JobRuns(world.installation.database, world.clock)
    await erase.run()
    first = (await runs.all())["audit_erasure"].began_at
    world.clock.advance(seconds=60)
    await erase.run()
    assert (await runs.all())["audit_erasure"].began_at == first
    await world.snapshot.poll()
    async with each_house.client(await each_house.operator("admin")) as caller:
        assert (await caller.post("/v1/jobs/audit_erasure/run")).status_code == 204
        assert (await caller.post("/v1/jobs/nobodys/run")).status_code == 404
    await erase.run()
    assert (await runs.all())["audit_erasure"].began_at == world.clock()
    assert [each["details"] for each in await world.platform_events() if each["type"] == "job.ordered"] == [
        {"job": "audit_erasure"}
    ]


async def test_who_is_being_erased_is_shown_so_and_not_enabled(house: House) -> None:
    bob = house.world.acme.users["bob"]
    async with house.world.installation.store.for_tenant(house.acme.id) as store:
        await store.users.set_active(bob, False)
        await store.users.begin_erasure(bob)
    async with house.client(await house.administrator()) as caller:
        assert (await caller.get(f"{ACME}/users/{bob}")).json()["erasing_since"] is not None
        answer = await caller.patch(f"{ACME}/users/{bob}", {"active": True})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


async def test_what_waits_for_a_job_is_counted(house: House) -> None:
    world = house.world
    async with house.client(await house.operator()) as caller:
        assert (await caller.delete(f"{ACME}?grace_seconds=0")).status_code == 200
    async with world.installation.store.for_tenant(house.globex.id) as store:
        await store.users.set_active(world.globex.users["bob"], False)
        await store.users.begin_erasure(world.globex.users["bob"])
    found = await listed(house)
    assert (found["deletions"]["waiting"], found["erasures"]["waiting"], found["keys"]["waiting"]) == (1, 1, None)
    await jobs(house)["deletions"].run()
    world.clock.advance(seconds=timedelta(minutes=11).total_seconds())
    await jobs(house)["erasures"].run()
    found = await listed(house)
    assert (found["deletions"]["waiting"], found["erasures"]["waiting"]) == (0, 0)

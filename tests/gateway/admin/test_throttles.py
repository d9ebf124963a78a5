"""Who has to wait is listed without a name, and let try again by who may."""

from policies.decision import Allow
from policies.throttle import ACCOUNT, NETWORK, Throttled
from tenants import throttles
from tenants.acts.throttles import name_of
from tenants.throttles import Counter
from tests.gateway.admin.house import House

THROTTLES = "/v1/tenants/acme/throttles"
HERE = throttles.network("192.0.2.1/32")
ALICE = throttles.account("alice")


async def use_up(house: House, counter: Counter, free: int) -> None:
    """All attempts that are free; the next has to wait."""
    for _ in range(free):
        async with house.world.installation.store.for_tenant(house.acme.id) as store:
            assert await store.throttles.reserve(counter) == Allow()


async def attempt(house: House, counter: Counter) -> Allow | Throttled:
    async with house.world.installation.store.for_tenant(house.acme.id) as store:
        return await store.throttles.reserve(counter)


async def test_who_has_to_wait_is_listed_by_a_digest_until_then(each_house: House) -> None:
    await use_up(each_house, ALICE, ACCOUNT.free)
    await use_up(each_house, throttles.account("bob"), ACCOUNT.free - 1)
    await use_up(each_house, HERE, NETWORK.free)
    async with each_house.client(await each_house.administrator()) as caller:
        found = (await caller.get(THROTTLES)).json()["items"]
        assert [each["id"] for each in found] == [name_of(ALICE), name_of(HERE)]
        assert "alice" not in str(found)
        assert [each["failures"] for each in found] == [ACCOUNT.free, NETWORK.free]
        first = (await caller.get(f"{THROTTLES}?limit=1")).json()
        assert [each["id"] for each in first["items"]] == [name_of(ALICE)]
        second = (await caller.get(f"{THROTTLES}?limit=1&cursor={first['next_cursor']}")).json()
        assert ([each["id"] for each in second["items"]], second["next_cursor"]) == ([name_of(HERE)], None)
        asked = (await caller.get(THROTTLES, params={"account": "ALICE"})).json()["items"]
        assert [each["id"] for each in asked] == [name_of(ALICE)]
        asked = (await caller.get(THROTTLES, params={"network": "192.0.2.2/32"})).json()["items"]
        assert asked == []
    async with each_house.client(await each_house.administrator(each_house.globex)) as caller:
        assert (await caller.get("/v1/tenants/globex/throttles")).json()["items"] == []


async def test_what_is_lifted_makes_nobody_wait_and_is_told(each_house: House) -> None:
    await use_up(each_house, HERE, NETWORK.free)
    assert isinstance(await attempt(each_house, HERE), Throttled)
    async with each_house.client(await each_house.operator("support")) as caller:
        assert (await caller.delete(f"{THROTTLES}/{name_of(HERE)}")).status_code == 204
        assert (await caller.delete(f"{THROTTLES}/{name_of(HERE)}")).status_code == 404
    assert await attempt(each_house, HERE) == Allow()
    (event,) = [each for each in await each_house.world.events() if each["type"] == "throttle.lifted"]
    assert event["details"] == {"throttle": name_of(HERE)}
    assert event["actor"] == f"platform/{each_house.operators['support']}"


async def test_the_help_desk_lifts_no_accounts_for_it_may_be_an_administrators(house: House) -> None:
    await use_up(house, ALICE, ACCOUNT.free)
    async with house.client(await house.operator("support")) as caller:
        answer = await caller.delete(f"{THROTTLES}/{name_of(ALICE)}")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert isinstance(await attempt(house, ALICE), Throttled)
    async with house.client(await house.operator("owner")) as caller:
        assert (await caller.delete(f"{THROTTLES}/{name_of(ALICE)}")).status_code == 204
    assert await attempt(house, ALICE) == Allow()


async def test_what_can_be_no_counter_is_not_there(house: House) -> None:
    async with house.client(await house.operator("owner")) as caller:
        for name in (
            "alarm-",
            "network-",
            f"network-{'g' * 64}",
            f"network-{'a' * 63}",
            "x" * 500,
            f"alarm-{'a' * 64}",
        ):
            assert (await caller.delete(f"{THROTTLES}/{name}")).status_code == 404, name

"""The coarse limit of the token endpoint per client network (rule 11)."""

import pytest

from tests.gateway.conftest import OpenWorld
from tests.gateway.world import World

LIMITS = {"token": "3/hour", "management": "100000/minute"}


async def statuses(world: World, address: str, count: int = 1, forwarded: str | None = None) -> list[int]:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    form = world.acme.form(grant_type="x")
    return [(await world.post(form, address=address, headers=headers)).status_code for _ in range(count)]


async def test_one_address_is_limited_and_others_are_not(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        assert await statuses(world, "203.0.113.1", 4) == [400, 400, 400, 429]
        assert await statuses(world, "203.0.113.2") == [400]


async def test_the_refusal_is_an_oauth_error_with_retry_after(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        await statuses(world, "203.0.113.1", 3)
        answer = await world.post(world.acme.form(), address="203.0.113.1", headers={"Origin": "https://app.acme.test"})

        assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["access-control-allow-origin"] == "https://app.acme.test"
        assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
        reasons = [event["reason"] for event in await world.events()]
        assert reasons == ["unsupported_grant_type", "address_limit"]


async def test_all_tenants_share_an_addresss_budget(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        for slug in ("acme", "globex", "acme"):
            await world.post({"grant_type": "x"}, to=slug, address="203.0.113.1")

        assert (await world.post({}, to="globex", address="203.0.113.1")).status_code == 429


async def test_a_stranger_has_one_budget_whatever_he_puts_into_query_or_headers(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        for number in range(3):
            await world.post({}, params={"x": str(number)}, headers={"User-Agent": str(number)}, address="203.0.113.1")

        assert await statuses(world, "203.0.113.1") == [429]


async def test_an_ipv6_64_is_one_client_and_the_next_another(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        for host in (":1", ":ffff:1", "a:b:c:d"):
            assert await statuses(world, f"2001:db8:0:1:{host}") == [400]

        assert await statuses(world, "2001:db8:0:1:abcd::1") == [429]
        assert await statuses(world, "2001:db8:0:2::1") == [400]


async def test_an_ipv4_address_mapped_into_ipv6_is_that_address(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        await statuses(world, "203.0.113.1", 3)

        assert await statuses(world, "::ffff:203.0.113.1") == [429]
        assert await statuses(world, "::ffff:203.0.113.2") == [400]


async def test_what_a_client_writes_into_x_forwarded_for_is_not_believed(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        for number in range(3):
            await statuses(world, "203.0.113.1", forwarded=f"198.51.100.{number}")

        assert await statuses(world, "203.0.113.1", forwarded="198.51.100.9") == [429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_budget(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS, trusted_proxies=["10.0.0.0/8"]) as world:
        for number in range(3):  # the left part is the client's own invention
            await statuses(world, "10.0.0.1", forwarded=f"198.51.100.{number}, 203.0.113.1")

        assert await statuses(world, "10.0.0.2", forwarded="203.0.113.1") == [429]
        assert await statuses(world, "10.0.0.1", forwarded="203.0.113.2") == [400]


async def test_a_suspended_or_unknown_tenant_costs_no_budget_and_no_hash(open_world: OpenWorld) -> None:
    async with open_world(limits=LIMITS) as world:
        for _ in range(5):
            assert (await world.post(world.acme.form(), to="nobody", address="203.0.113.1")).status_code == 404

        assert await statuses(world, "203.0.113.1") == [400]


@pytest.mark.parametrize("peer", ["", "not-an-address"])
async def test_a_peer_without_an_address_is_limited_too(open_world: OpenWorld, peer: str) -> None:
    async with open_world(limits=LIMITS) as world:
        assert await statuses(world, peer, 4) == [400, 400, 400, 429]

"""The guard of the management listener: hosts on the list only, so many requests only, probes exempt."""

import pytest

from gateway.health import health_router
from gateway.limits import AddressLimit
from gateway.management import ManagementGuard
from gateway.middleware import WithContext
from gateway.settings import from_mapping
from gateway.web import application
from tests.gateway.asgi import calling, named


def guarded(rate: str = "1000/minute", **settings: object) -> WithContext:
    hosts = from_mapping({"public_url": "https://auth.example.com", **settings}, source="test").management_host_set()
    return WithContext(ManagementGuard(named("reached"), hosts=hosts, limit=AddressLimit(rate)), ())


async def status(app: WithContext, host: str, path: str = "/v1/tenants", *, address: str = "127.0.0.1") -> int:
    async with calling(app, address=address) as client:
        return (await client.get(path, headers={"Host": host})).status_code


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8081", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081", "admin.internal:443"]
)
async def test_a_host_on_the_list_passes(host: str) -> None:
    assert await status(guarded(management_hosts=["admin.internal"]), host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.test", "localhost.evil.test", "evil.test:8081", "", "127.0.0.2", "10.0.0.5:8081", "localhost:", "[::1"],
)
async def test_any_other_host_is_421_dns_rebinding(host: str) -> None:
    async with calling(guarded(), address="127.0.0.1") as client:
        answer = await client.get("/v1/tenants", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_request")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_listeners_own_address_is_on_the_list() -> None:
    assert await status(guarded(management_listen="10.0.0.5:8081"), "10.0.0.5:8081") == 200


async def test_a_configured_port_is_that_port_only() -> None:
    app = guarded(management_hosts=["admin.internal:8443"])

    assert await status(app, "admin.internal:8443") == 200
    assert await status(app, "admin.internal:9443") == 421


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_and_scrapes_come_by_pod_address_as_often_as_they_like(path: str) -> None:
    app = guarded("1/minute")

    assert [await status(app, "10.42.0.17:8081", path) for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("path", ["/livez/", "/livez/x", "//livez", "/LIVEZ", "/metrics/x", "/"])
async def test_only_exactly_the_probes_are_exempt(path: str) -> None:
    assert await status(guarded(), "10.42.0.17:8081", path) == 421


async def test_over_the_rate_is_a_429_problem_with_retry_after() -> None:
    app = guarded("2/minute")
    assert [await status(app, "localhost") for _ in range(2)] == [200, 200]
    async with calling(app, address="127.0.0.1") as client:
        answer = await client.get("/v1/tenants", headers={"Host": "localhost"})

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert await status(app, "localhost", address="127.0.0.2") == 200


async def test_a_refused_host_costs_nobody_a_request() -> None:
    app = guarded("1/minute")
    for _ in range(3):
        await status(app, "evil.test")

    assert await status(app, "localhost") == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_process_that_runs_is_live(method: str) -> None:
    async with calling(WithContext(application(health_router({"feed": lambda: False})), ())) as client:
        answer = await client.request(method, "/livez")

    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("feed", "expected"), [(True, 200), (False, 503)])
async def test_a_process_gets_traffic_while_all_is_well(method: str, feed: bool, expected: int) -> None:
    app = WithContext(application(health_router({"feed": lambda: feed, "hashing": lambda: True})), ())
    async with calling(app) as client:
        answer = await client.request(method, "/readyz")

    assert answer.status_code == expected
    if method == "GET":
        assert answer.json() == {
            "status": "ok" if feed else "failed",
            "checks": {"feed": "ok" if feed else "failed", "hashing": "ok"},
        }

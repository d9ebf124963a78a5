"""The composition as it runs: ready before the first request, nothing lost and nothing left after the last."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import structlog

from gateway.app import running
from gateway.installation import Installation, open_installation
from gateway.live import Service
from gateway.settings import ForwardAuth, Match, Route, Settings, from_mapping
from tenants import migrate
from tenants.migrate import SchemaMismatch
from tenants.sealing import MasterKeyProblem, MasterKeys
from tests.conftest import DatabaseUrls

PUBLIC_URL = "http://localhost:8080"


@pytest.fixture
def settings(database_urls: DatabaseUrls, tmp_path: Path) -> Settings:
    key = tmp_path / "master.key"
    MasterKeys.create(key)
    values: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "api_hosts": ["127.0.0.1:8080"],
        "data_dir": str(tmp_path),
        "database_url": database_urls.app,
        "hashing": {"memory": "7MiB", "iterations": 5, "helpers": 1},
    }
    if database_urls.system is not None:
        values["database_system_url"] = database_urls.system
    return from_mapping(values, source="test")


@asynccontextmanager
async def calling(service: Service, base_url: str = PUBLIC_URL, *, management: bool = False) -> AsyncIterator[Any]:
    app = service.management if management else service.public
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 1), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


async def eventually(happens: Callable[[], Awaitable[bool]]) -> None:
    """Give the jobs, which keep real time, their turns until it is so, for at most ten seconds."""
    async with asyncio.timeout(10):
        while not await happens():  # noqa: ASYNC110 - what happens is in the database, where no event can be waited for
            await asyncio.sleep(0.01)


async def make_acme(installation: Installation) -> None:
    await installation.directory.create(slug="acme", name="Acme", issuer=f"{PUBLIC_URL}/t/acme", actor="test")


async def platform_events(installation: Installation) -> list[dict[str, Any]]:
    log = installation.audit_log.export((await installation.platform()).id)
    return [json.loads(entry.event) async for entry in log if entry.event is not None]


async def test_it_is_ready_before_the_first_request(settings: Settings) -> None:
    async with (
        open_installation(settings) as installation,
        running(installation) as service,
        calling(service, "http://localhost:8081", management=True) as client,
    ):
        answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["checks"]) == (
        200,
        dict.fromkeys(("feed", "hashing", "schema", "master_key"), "ok"),
    )


async def test_what_was_observed_is_in_the_log_when_it_has_ended(settings: Settings) -> None:
    async with open_installation(settings) as installation:
        async with running(installation) as service, calling(service) as client:
            for _ in range(3):
                assert (await client.post("/t/nobody/token")).status_code == 404

        told = [event for event in await platform_events(installation) if event["type"] == "token.refused"]
        assert [(event["reason"], event.get("count", 1)) for event in told] == [
            ("tenant_not_found", 1),
            ("tenant_not_found", 2),
        ]


async def test_a_change_is_heard_while_it_runs(settings: Settings) -> None:
    async with (
        open_installation(settings) as installation,
        running(installation) as service,
        calling(service) as client,
    ):
        assert (await client.get("/t/acme/jwks")).status_code == 404
        await make_acme(installation)

        async def heard() -> bool:
            return bool((await client.get("/t/acme/jwks")).status_code == 200)

        await eventually(heard)


async def test_events_reach_the_log_while_it_runs(settings: Settings) -> None:
    async with (
        open_installation(settings) as installation,
        running(installation) as service,
        calling(service) as client,
    ):
        await client.post("/t/nobody/token")

        async def told() -> bool:
            return any(event["type"] == "token.refused" for event in await platform_events(installation))

        await eventually(told)


async def test_each_host_goes_to_its_side(settings: Settings) -> None:
    async with open_installation(settings) as installation, running(installation) as service:
        for base_url, expected in (
            (PUBLIC_URL, (404, "not_found")),
            ("http://127.0.0.1:8080", (404, "route_not_found")),
            ("http://evil.test", (421, "misdirected_request")),
        ):
            async with calling(service, base_url) as client:
                answer = await client.get("/nothing")
            assert (answer.status_code, answer.json()["code"]) == expected
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_tenants_host_that_the_configuration_has_too_is_told_of_at_start(settings: Settings) -> None:
    taken = {"acme": "https://127.0.0.1", "globex": "https://localhost", "initech": "https://login.initech.example"}
    async with open_installation(settings) as installation:
        for slug, issuer in taken.items():
            await installation.directory.create(slug=slug, name=slug, issuer=issuer, actor="test")
        with structlog.testing.capture_logs() as logs:
            async with running(installation) as service, calling(service, "http://127.0.0.1:8080") as client:
                assert (await client.get("/login")).json()["code"] == "route_not_found"

    told = {(entry["tenant"], entry["configured_as"]) for entry in logs if entry["event"] == "own_host_not_served"}
    assert told == {("acme", "api_hosts"), ("globex", "public_url")}
    assert {entry["log_level"] for entry in logs if entry["event"] == "own_host_not_served"} == {"error"}


async def test_management_answers_its_own_hosts_only(settings: Settings) -> None:
    async with (
        open_installation(settings) as installation,
        running(installation) as service,
        calling(service, "http://evil.test", management=True) as client,
    ):
        assert (await client.get("/openapi.json")).status_code == 421
        assert (await client.get("/livez")).status_code == 200


async def test_nothing_is_left_when_it_has_ended(settings: Settings) -> None:
    tasks = asyncio.all_tasks()
    children = set(psutil.Process().children())
    async with open_installation(settings) as installation, running(installation):
        assert set(psutil.Process().children()) > children

    assert asyncio.all_tasks() == tasks
    assert set(psutil.Process().children()) == children


async def _serve_and_fail(installation: Installation) -> None:
    async with running(installation) as service, calling(service) as client:
        await client.post("/t/nobody/token")
        raise RuntimeError("the server failed")


async def test_it_ends_in_order_when_the_server_fails(settings: Settings) -> None:
    async with open_installation(settings) as installation:
        with pytest.raises(RuntimeError, match="the server failed"):
            await _serve_and_fail(installation)

        assert any(event["type"] == "token.refused" for event in await platform_events(installation))


async def test_the_platform_tenant_is_made_once_whoever_comes_first(settings: Settings) -> None:
    async with open_installation(settings) as first, open_installation(settings) as second:
        made = await asyncio.gather(first.platform(), second.platform())

    assert made[0].id == made[1].id


async def test_a_database_of_another_version_stops_start_up(tmp_path: Path) -> None:
    MasterKeys.create(tmp_path / "master.key")
    settings = from_mapping({"public_url": PUBLIC_URL, "data_dir": str(tmp_path)}, source="test")

    with pytest.raises(SchemaMismatch, match="yett migrate"):
        async with open_installation(settings):
            pass


async def test_a_missing_master_key_stops_start_up(tmp_path: Path) -> None:
    settings = from_mapping({"public_url": PUBLIC_URL, "data_dir": str(tmp_path)}, source="test")

    with pytest.raises(MasterKeyProblem):
        async with open_installation(settings):
            pass


async def test_another_databases_master_key_stops_start_up(tmp_path: Path) -> None:
    settings = from_mapping({"public_url": PUBLIC_URL, "data_dir": str(tmp_path)}, source="test")
    await migrate.upgrade(settings.database_url.get_secret_value())
    MasterKeys.create(settings.master_key_file)
    async with open_installation(settings):
        pass
    settings.master_key_file.unlink()
    MasterKeys.create(settings.master_key_file)

    with pytest.raises(Exception, match="does not belong to this database"):
        async with open_installation(settings):
            pass


async def test_there_is_forward_auth_where_it_has_a_listener(settings: Settings) -> None:
    async with open_installation(settings) as installation, running(installation) as service:
        assert service.forward_auth is None
    asked = ForwardAuth.model_validate({"listen": "127.0.0.1:8082", "peers": ["203.0.113.0/24"]})
    route = Route(name="open", match=Match(path="/open"), require="anonymous")
    changed = settings.model_copy(update={"forward_auth": asked, "routes": (route,)})
    async with open_installation(changed) as installation, running(installation) as service:
        assert service.forward_auth is not None
        said = {"X-Original-Method": "GET", "X-Original-URI": "/open", "X-Forwarded-Proto": "https"}
        said["X-Forwarded-For"] = "192.0.2.1"
        for address, status in (("203.0.113.7", 200), ("198.51.100.7", 404)):
            transport = httpx.ASGITransport(service.forward_auth, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                assert (await client.get("/forward-auth", headers=said)).status_code == status

"""Cross-origin calls of the token endpoint (Fetch): the union of the tenant's clients' origins, and no credentials."""

import httpx
import pytest

from gateway.oauth import cors
from policies.web_origin import allowed
from tests.gateway.world import World

HEADERS = "authorization,x-requested-with"
LISTED = [
    "https://app.acme.test",
    "https://login.acme.test",
    "http://localhost:5173",
    "http://localhost:1",
    "http://localhost:65535",
    "http://localhost",
    "http://[::1]:3000",
]
FOREIGN = [
    "https://app.globex.test",
    "null",
    "",
    "*",
    "http://localhost:*",
    "https://localhost:5173",
    "http://localhost:",
    "http://localhost:65536",
    "http://localhost:x",
    "http://localhost:05173x",
    "http://localhost.evil.test:5173",
    "http://user@localhost:5173",
    "http://localhost:5173/",
    "http://localhost:5173#",
    "HTTP://localhost:5173",
    "http://LOCALHOST:5173",
    "http://127.0.0.1:5173",
    "https://app.acme.test:443",
    "https://app.acme.test:8443",
    "https://app.acme.test.evil.test",
    "https://evil.test/https://app.acme.test",
    "https://app.acme.test https://evil.test",
    "http://[::1",
    "http://localhost:\u00b2",
]


async def preflight(world: World, origin: str, *, to: str = "acme") -> httpx.Response:
    headers = [
        (b"Origin", origin.encode("latin-1")),
        (b"Access-Control-Request-Method", b"POST"),
        (b"Access-Control-Request-Headers", HEADERS.encode()),
    ]
    async with world.client() as client:
        return await client.options(f"/t/{to}/token", headers=headers)


@pytest.mark.parametrize("origin", LISTED)
async def test_a_preflight_of_a_clients_origin_is_permitted(world: World, origin: str) -> None:
    answer = await preflight(world, origin)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "Authorization, Content-Type, DPoP, X-Requested-With"
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("userinfo", "GET, HEAD, POST"),
        ("revoke", "POST"),
        ("introspect", "POST"),
        ("par", "POST"),
        ("device", "POST"),
        ("register", "POST"),
        ("register/dcr-1", "GET, PUT, DELETE"),
    ],
)
async def test_every_endpoint_that_pages_call_answers_a_preflight(world: World, path: str, methods: str) -> None:
    fields = {"Origin": "https://app.acme.test", "Access-Control-Request-Method": "POST"}
    async with world.client() as client:
        answer = await client.options(f"/t/acme/{path}", headers=fields)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.acme.test"
    assert answer.headers["access-control-allow-methods"] == methods
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_preflight_of_any_other_origin_is_not(world: World, origin: str) -> None:
    answer = await preflight(world, origin)

    assert answer.status_code == 204
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert answer.headers["vary"] == "Origin"


async def test_each_tenant_has_its_own_clients_origins(world: World) -> None:
    assert "access-control-allow-origin" in (await preflight(world, "https://app.globex.test", to="globex")).headers
    assert "access-control-allow-origin" not in (await preflight(world, "https://app.acme.test", to="globex")).headers


async def test_a_disabled_clients_origins_are_nobodys(world: World) -> None:
    async with world.store() as store:
        await store.clients.set_active("spa", False)

    assert "access-control-allow-origin" not in (await preflight(world, "https://app.acme.test")).headers
    assert "access-control-allow-origin" in (await preflight(world, "https://login.acme.test")).headers


@pytest.mark.parametrize("changes", [{}, {"password": "wrong"}, {"grant_type": "x"}, {"client_id": "nobody"}])
async def test_a_page_may_read_an_answer_and_a_refusal_alike(world: World, changes: dict[str, str]) -> None:
    answer = await world.post(world.acme.form(**changes), headers={"Origin": "https://app.acme.test"})

    assert answer.headers["access-control-allow-origin"] == "https://app.acme.test"
    assert answer.headers["access-control-expose-headers"] == "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
async def test_a_foreign_page_may_read_nothing(world: World, origin: str) -> None:
    answer = await world.post(world.acme.form(), headers={"Origin": origin})

    assert answer.status_code == 200  # CORS is the browser's rule; a login needs the password all the same
    assert "access-control-allow-origin" not in answer.headers


async def test_a_preflight_of_no_tenant_is_404_without_permission(world: World) -> None:
    answer = await preflight(world, "https://app.acme.test", to="nobody")

    assert answer.status_code == 404
    assert "access-control-allow-origin" not in answer.headers


async def test_a_preflight_is_no_event(world: World) -> None:
    await preflight(world, "https://evil.test")

    assert await world.events() == []


@pytest.mark.parametrize("path", ["/t/acme/jwks", "/t/acme/.well-known/openid-configuration"])
async def test_anybody_may_read_discovery_and_keys(world: World, path: str) -> None:
    async with world.client(headers={"Origin": "https://anywhere.test"}) as client:
        answer = await client.get(path)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_without_origins_nobody_is_allowed() -> None:
    assert not allowed("https://app.acme.test", set())
    assert cors.answer_headers(None, {"https://app.acme.test"}) == {"Vary": "Origin"}

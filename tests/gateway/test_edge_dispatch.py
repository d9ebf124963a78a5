"""Where the public listener sends a request: by its ``Host`` alone, and never to both sides of a host."""

from uuid import UUID

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.edge import Edge
from gateway.own_hosts import OwnHosts
from gateway.settings import HostSet, from_mapping
from tenants.database import Database
from tenants.snapshot import Snapshot, TenantFacts
from tests.conftest import Clock
from tests.gateway.asgi import calling, named

API, IDENTITY, NOWHERE = "data plane", "identity", "nowhere"


def own_hosts(*issuers: str, taken: frozenset[str] = frozenset()) -> OwnHosts:
    """As of a process that has heard of these tenants."""
    snapshot = Snapshot(Database.open("sqlite:///unused.db"), clock=Clock(), monotonic=lambda: 0.0)
    snapshot._know(TenantFacts(UUID(int=n), f"t{n}", issuer, True) for n, issuer in enumerate(issuers))
    return OwnHosts(snapshot, taken)


async def _identity(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was asked, where that is another path than the client's."""
    own = "yett.issuer" in scope
    said = f"{IDENTITY} {scope['raw_path'].decode()} of {scope['yett.issuer']}" if own else IDENTITY
    assert scope["raw_path"].decode() == scope["path"]
    await PlainTextResponse(said)(scope, receive, send)


def edge(identity: HostSet, apis: HostSet, own: OwnHosts | None = None) -> Edge:
    return Edge(
        identity=_identity,
        data_plane=named(API),
        nowhere=named(NOWHERE),
        identity_hosts=identity,
        api_hosts=apis,
        own_hosts=own or own_hosts(),
    )


def configured(public_url: str, *api_hosts: str, own: OwnHosts | None = None, **more: object) -> Edge:
    settings = from_mapping({"public_url": public_url, "api_hosts": list(api_hosts), **more}, source="test")
    return edge(settings.identity_host_set(), settings.api_host_set(), own)


async def destination(app: Edge, host: str | None, path: str = "/") -> str:
    async with calling(app) as client:
        request = client.build_request("GET", path)
        request.headers.pop("host")
        if host is not None:
            request.headers["host"] = host
        return (await client.send(request)).text


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("auth.example.com", IDENTITY),
        ("AUTH.example.COM", IDENTITY),
        ("api.example.com", API),
        ("API.EXAMPLE.COM", API),
        ("api.example.com:8443", API),
        ("evil.example.com", NOWHERE),
        ("auth.example.com.evil.test", NOWHERE),
        ("xauth.example.com", NOWHERE),
        ("auth.example.com.", NOWHERE),
        ("api.example.com:", NOWHERE),
        ("api.example.com:x", NOWHERE),
        ("", NOWHERE),
        ("localhost", NOWHERE),
        ("[::1]", NOWHERE),
        (None, NOWHERE),
    ],
)
async def test_the_host_alone_decides(host: str | None, expected: str) -> None:
    app = configured("https://auth.example.com", "api.example.com")

    for path in ("/", "/t/acme/token", "/orders/7", "/.well-known/oauth-authorization-server/t/acme"):
        assert await destination(app, host, path) == expected


async def test_a_path_of_identity_on_an_api_host_is_the_apis() -> None:
    app = configured("https://auth.example.com", "api.example.com")

    assert await destination(app, "api.example.com", "/t/acme/token") == API


async def test_two_hosts_of_one_port_are_told_apart_as_in_the_demo() -> None:
    app = configured("http://localhost:8080", "127.0.0.1:8080")

    assert await destination(app, "localhost:8080") == IDENTITY
    assert await destination(app, "127.0.0.1:8080") == API
    assert await destination(app, "127.0.0.1:9090") == NOWHERE
    assert await destination(app, "[::1]:8080") == NOWHERE


async def test_a_shared_host_gives_identity_its_own_paths_only() -> None:
    app = configured("https://one.example.com", "one.example.com", unsafe_shared_origin=True)

    for path in ("/t/acme/token", "/t/acme/jwks", "/.well-known/oauth-authorization-server/t/acme"):
        assert await destination(app, "one.example.com", path) == IDENTITY
    for path in ("/", "/t", "/tt/x", "/orders/7", "/.well-known/oauth-protected-resource", "/x/t/acme/token"):
        assert await destination(app, "one.example.com", path) == API


async def test_the_first_host_counts_because_the_server_lets_only_one_through() -> None:
    app = configured("https://auth.example.com", "api.example.com")
    async with calling(app) as client:
        request = client.build_request("GET", "/", headers=[("Host", "api.example.com"), ("Host", "auth.example.com")])
        assert (await client.send(request)).text == API


async def test_what_strangers_send_as_a_host_takes_no_memory() -> None:
    app = configured("https://auth.example.com", "api.example.com")
    for number in range(2000):
        await destination(app, f"{number}.evil.test")
        await destination(app, f"api.example.com:{number}")
    await destination(app, "api.example.com:" + "1" * 5000)

    known = app._known  # what must stay small is to be seen nowhere else
    assert len(known) <= 1024
    assert not any(b"evil" in host or len(host) > 300 for host in known)


LOGIN = "https://login.acme.example"
HERE = "http://acme.localhost:8080"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("login.acme.example", f"{IDENTITY} /t/t0/token of {LOGIN}"),
        ("LOGIN.Acme.example", f"{IDENTITY} /t/t0/token of {LOGIN}"),
        ("login.acme.example:443", f"{IDENTITY} /t/t0/token of {LOGIN}"),
        ("login.acme.example:8443", f"{IDENTITY} /t/t0/token of {LOGIN}"),
        ("acme.localhost:8080", f"{IDENTITY} /t/t1/token of {HERE}"),
        ("acme.localhost:8081", NOWHERE),
        ("acme.localhost", NOWHERE),
        ("login.acme.example.", NOWHERE),
        ("login.acme.example:", NOWHERE),
        ("login.acme.example:x", NOWHERE),
        ("login.acme.example:\u00b2", NOWHERE),
        ("login.acme.example:443:443", NOWHERE),
        ("xlogin.acme.example", NOWHERE),
        ("acme.example", NOWHERE),
        (" login.acme.example", NOWHERE),
        ("user@login.acme.example", NOWHERE),
        ("shared.example/t/t2", NOWHERE),  # an issuer, but not of a host
    ],
)
async def test_a_tenants_own_host_is_its_address(host: str, expected: str) -> None:
    app = configured(
        "https://auth.example.com", "api.example.com", own=own_hosts(LOGIN, HERE, "https://shared.example/t/t2")
    )

    scope = {"type": "http", "method": "GET", "path": "/token", "raw_path": b"/token", "headers": []}
    scope["headers"] = [(b"host", host.encode("latin-1"))]
    assert await _said(app, scope) == expected


async def _said(app: Edge, scope: Scope) -> str:
    said: list[bytes] = []

    async def send(message: dict[str, object]) -> None:
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        said.append(body)

    async def receive() -> dict[str, object]:
        raise AssertionError("nothing is read")

    await app(scope, receive, send)  # type: ignore[arg-type]
    return b"".join(said).decode()


@pytest.mark.parametrize("shared", [False, True])
async def test_a_configured_host_is_never_a_tenants_own(shared: bool) -> None:
    taken = own_hosts("https://auth.example.com", "https://api.example.com")
    more = {"unsafe_shared_origin": True} if shared else {}
    app = configured("https://auth.example.com", "api.example.com", own=taken, **more)

    assert await destination(app, "auth.example.com", "/token") == IDENTITY
    assert await destination(app, "api.example.com", "/token") == API
    assert await destination(app, "api.example.com", "/t/t1/token") == API


async def test_a_host_is_its_tenants_as_soon_as_the_tenant_is_known_and_no_longer() -> None:
    own = own_hosts()
    app = configured("https://auth.example.com", own=own)
    assert await destination(app, "login.acme.example") == NOWHERE
    tenant = TenantFacts(UUID(int=1), "acme", LOGIN, True)
    own._snapshot._know([tenant])
    assert (await destination(app, "login.acme.example")).startswith(IDENTITY)
    own._snapshot._apply({tenant.id}, [], [])
    assert await destination(app, "login.acme.example") == NOWHERE


def test_a_name_that_the_configuration_has_at_another_port_is_nobodys_own() -> None:
    hosts = own_hosts("https://auth.acme.example", taken=frozenset({"auth.acme.example"}))
    assert hosts.find("auth.acme.example") is None
    assert own_hosts("https://auth.acme.example").find("auth.acme.example") is not None

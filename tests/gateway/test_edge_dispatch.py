"""Where the public listener sends a request: by its ``Host`` alone, and never to both sides of a host."""

import pytest

from gateway.edge import Edge
from gateway.settings import HostSet, from_mapping
from tests.gateway.asgi import calling, named

API, IDENTITY, NOWHERE = "data plane", "identity", "nowhere"


def edge(identity: HostSet, apis: HostSet) -> Edge:
    return Edge(
        identity=named(IDENTITY),
        data_plane=named(API),
        nowhere=named(NOWHERE),
        identity_hosts=identity,
        api_hosts=apis,
    )


def configured(public_url: str, *api_hosts: str, **more: object) -> Edge:
    settings = from_mapping({"public_url": public_url, "api_hosts": list(api_hosts), **more}, source="test")
    return edge(settings.identity_host_set(), settings.api_host_set())


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

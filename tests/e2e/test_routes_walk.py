"""A served configuration whose routes strip, rewrite, bound, limit and let pages in, from a client's side."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import Copy
from tests.e2e.gateway import Gateway
from tests.e2e.installation import ORIGINS
from tests.e2e.raw_socket import RawSocket
from tests.e2e.recording_upstream import RecordingUpstream

APP = ORIGINS[1]  # of a client of acme, and of none of globex
_ROUTES = """\
  - name: shop
    match: {path: "/shop/{id:int}/**"}
    require: {scopes: ["orders:read"]}
    upstream: orders
    strip: /shop
    body: 1KiB
  - {name: old, match: {path: "/shop/{name}"}, require: anonymous, upstream: orders, rewrite: "/named/{name}"}
  - name: limited
    match: {path: /limited}
    require: {scopes: ["orders:read"]}
    upstream: orders
    limit: [{per: subject, rate: 2/day}, {per: tenant, rate: 3/day}]
    cors: {client_origins: true}
"""


@pytest.fixture(scope="module")
def gateway(copy_of: Copy) -> Iterator[Gateway]:
    installation = copy_of("sqlite")
    config = installation.config
    config.write_text(config.read_text(encoding="utf-8") + _ROUTES, encoding="utf-8")
    running = Gateway(installation, installation.data.parent)
    try:
        running.wait_until_ready()
        yield running
        running.close()
        running.stop()
    finally:
        running.close()
        running.discard()


def test_a_number_goes_one_way_and_a_name_another(gateway: Gateway, upstream: RecordingUpstream) -> None:
    upstream.clear()
    assert gateway.call("/shop/7/a%20b?x=1", gateway.token("alice", "acme")).status_code == 200
    assert gateway.call("/shop/apples").status_code == 200
    assert [seen.target for seen in upstream.requests] == ["/7/a%20b?x=1", "/named/apples"]
    assert [seen.values("x-forwarded-prefix") for seen in upstream.requests] == [["/shop"], []]


def test_a_body_that_is_too_large_is_refused_and_its_connection_closed(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    token = gateway.token("alice", "acme")
    upstream.clear()
    refused = gateway.call("/shop/7", token, method="POST", content=bytes(1025))
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert upstream.requests == []
    assert gateway.call("/shop/7", token, method="POST", content=bytes(1024)).status_code == 200

    head = f"POST /shop/7 HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {token}\r\n"
    with RawSocket(gateway.port) as chunked:
        chunked.send(f"{head}Transfer-Encoding: chunked\r\n\r\n400\r\n{'x' * 1024}\r\n".encode())
        chunked.send(b"1\r\nx\r\n")
        assert b"HTTP/1.1 413" in chunked.read_to_end()
    with RawSocket(gateway.port) as expecting:
        expecting.send(f"{head}Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n".encode())
        received = expecting.read_to_end()
    assert received.startswith(b"HTTP/1.1 413")
    assert not any(seen.whole and len(seen.body) > 1024 for seen in upstream.requests)


def test_a_limit_counts_each_subject_and_its_tenant(gateway: Gateway) -> None:
    def ask(user: str, tenant: str = "acme") -> httpx.Response:
        return gateway.call("/limited", gateway.token(user, tenant))

    first = ask("alice")
    assert (first.status_code, first.headers["ratelimit-policy"]) == (
        200,
        '"subject-day";q=2;w=86400, "tenant-day";q=3;w=86400',
    )
    assert first.headers["ratelimit"].startswith('"subject-day";r=1;t=')
    assert [ask("alice").status_code, ask("alice").status_code] == [200, 429]
    assert [ask("bob").status_code, ask("bob").status_code] == [200, 429]  # the tenant has none left
    refused = ask("bob")
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["ratelimit"].startswith('"tenant-day";r=0;t=')
    assert 0 < int(refused.headers["retry-after"]) <= 86400 // 3
    assert ask("carol", "globex").status_code == 200


def test_pages_of_a_tenants_clients_call_its_api(gateway: Gateway) -> None:
    wanted = {"Origin": APP, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    preflight = gateway.api.request("OPTIONS", "/limited", headers=wanted)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, APP)
    permitted = {}
    for user, tenant in (("alice", "acme"), ("carol", "globex")):
        headers = {"Origin": APP, "Authorization": f"Bearer {gateway.token(user, tenant)}"}
        permitted[tenant] = gateway.api.get("/limited", headers=headers).headers.get("access-control-allow-origin")
    assert permitted == {"acme": APP, "globex": None}


def test_what_routes_do_is_printed(gateway: Gateway) -> None:
    said = gateway.installation.does("policy", "check")
    assert said["options"] == {
        "shop": {"strip": "/shop", "body": "1024 bytes"},
        "old": {"rewrite": "/named/{name}"},
        "limited": {"limit": "2/day per subject, 2 at once, 3/day per tenant, 3 at once", "cors": "origins of clients"},
    }
    printed = gateway.installation.run("policy", "check").out.splitlines()
    assert printed[1:3] == ["shop: strip /shop; body 1024 bytes", "old: rewrite /named/{name}"]

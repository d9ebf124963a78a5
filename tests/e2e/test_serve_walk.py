"""The main walk on a configured gateway, on both databases: log in, be let through or not, and stand in the log."""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway, claims
from tests.e2e.installation import API, AUDIENCE, IDENTITY, ORIGINS
from tests.e2e.server_process import PASSWORD

METADATA = "https://api.example.com/.well-known/oauth-protected-resource/orders"


def _seen(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["headers"])


def test_each_tenants_users_reach_the_api_as_themselves(gateway: Gateway) -> None:
    for user, tenant in (("alice", "acme"), ("carol", "globex")):
        token = gateway.token(user, tenant)
        seen = _seen(gateway.call("/orders/7", token))
        assert (seen["x-yett-tenant"], seen["x-yett-subject"]) == (tenant, claims(token)["sub"])
        assert claims(token)["iss"] == f"https://{IDENTITY}/t/{tenant}"
        assert claims(token)["aud"] == AUDIENCE
    assert (
        claims(gateway.token("bob"))["sub"] != claims(gateway.login("bob", "globex", scope="")["access_token"])["sub"]
    )


@pytest.mark.parametrize(
    ("user", "method", "path", "status", "challenge"),
    [
        (None, "GET", "/orders/7", 401, rf'Bearer realm="yett", resource_metadata="{METADATA}"'),
        ("bob", "POST", "/orders", 403, r'Bearer .*error="insufficient_scope".*scope="orders:write".*'),
        ("mallory", "GET", "/orders/7", 403, r'Bearer .*error="insufficient_scope".*scope="orders:read".*'),
        ("alice", "GET", "/admin/x", 403, r'Bearer .*error="insufficient_scope".*scope="admin".*'),
        (None, "GET", "/public/x", 200, None),
        (None, "GET", "/nowhere", 404, None),
        ("alice", "PATCH", "/orders/7", 405, None),
    ],
)
def test_the_gateway_decides(
    gateway: Gateway, user: str | None, method: str, path: str, status: int, challenge: str | None
) -> None:
    answer = gateway.call(path, None if user is None else gateway.token(user), method=method)
    assert answer.status_code == status
    if challenge is not None:
        assert re.fullmatch(challenge, answer.headers["www-authenticate"])
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_an_api_says_what_a_client_needs(gateway: Gateway) -> None:
    answer = gateway.call(METADATA.removeprefix(f"https://{API}"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told = answer.json()
    assert (told["resource"], told["scopes_supported"]) == (AUDIENCE, ["admin", "orders:read", "orders:write"])
    assert "authorization_servers" not in told  # its routes are every tenant's


def test_what_happened_is_in_the_log_within_a_second(gateway: Gateway) -> None:
    login = gateway.login("alice")
    said = claims(login["access_token"])
    refused = gateway.call("/admin/x", login["access_token"])
    stranger = gateway.ask_token(grant_type="password", username="alice", password="wrong")
    assert (stranger.status_code, stranger.json()["error"]) == (400, "invalid_grant")
    request_id = refused.headers["x-request-id"]

    def listed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = gateway.installation.does("audit", "list", "--tenant", "acme", "--limit", "10000")
        return rows if any(row.get("request_id") == request_id for row in rows) else []

    events = eventually(listed, within=5, what="the refusal is listed")
    (event,) = [event for event in events if event.get("request_id") == request_id]
    assert (event["tenant"], event["subject"], event["reason"]) == ("acme", said["sub"], "insufficient_scope")
    (started,) = [event for event in events if event.get("session_id") == said["sid"]]
    assert (started["type"], started["user_name"], started["client_id"]) == ("login.succeeded", "alice", "demo-app")
    assert [event for event in events if event["type"] == "login.refused" and event["user_name"] == "alice"]


def test_a_refresh_token_is_good_for_a_new_pair(gateway: Gateway) -> None:
    first = gateway.login("alice")
    assert first["refresh_token"].startswith("yrt_")
    form = {"grant_type": "refresh_token", "client_id": "demo-app"}
    second = gateway.ask_token(**form, refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert claims(second["access_token"])["sid"] == claims(first["access_token"])["sid"]
    assert claims(second["access_token"])["auth_time"] == claims(first["access_token"])["auth_time"]
    assert gateway.call("/orders/1", second["access_token"]).status_code == 200


def test_the_preflight_is_answered_from_the_union_of_the_clients_origins(gateway: Gateway) -> None:
    def ask(origin: str, tenant: str = "acme") -> httpx.Response:
        fields = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return gateway.identity.options(f"/t/{tenant}/token", headers=fields)

    for origin in ORIGINS:  # demo-app's and demo-service's
        answer = ask(origin)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" in ask(ORIGINS[0], "globex").headers
    refused = [ask(ORIGINS[1], "globex"), *map(ask, ("null", "https://evil.example", f"{ORIGINS[0]}.evil.example"))]
    assert not [answer for answer in refused if "access-control-allow-origin" in answer.headers]


def test_identity_and_apis_share_no_host(gateway: Gateway) -> None:
    assert gateway.api.get("/t/acme/jwks").status_code == 404
    assert gateway.identity.get("/public/x").status_code == 404
    assert gateway.identity.get("/public/x", headers={"Host": "nobody.example.com"}).status_code == 421


_LOGIN = f"grant_type=password&username=alice&password={PASSWORD.replace(' ', '+')}"
_FORM = "application/x-www-form-urlencoded"
_BAD_FORMS: dict[str, tuple[str, bytes, int, str]] = {
    "json": ("application/json", b'{"grant_type": "password"}', 400, "invalid_request"),
    "no content type": ("", _LOGIN.encode(), 400, "invalid_request"),
    "multipart": ("multipart/form-data; boundary=x", b"--x--", 400, "invalid_request"),
    "empty": (_FORM, b"", 400, "invalid_request"),
    "unknown grant": (_FORM, b"grant_type=magic", 400, "unsupported_grant_type"),
    "grant twice": (_FORM, b"grant_type=password&" + _LOGIN.encode(), 400, "invalid_request"),
    "user twice": (_FORM, _LOGIN.encode() + b"&username=bob", 400, "invalid_request"),
    "a pair without a sign": (_FORM, b"grant_type=password&username&password=x", 400, "invalid_request"),
    "no password": (_FORM, b"grant_type=password&username=alice", 400, "invalid_request"),
    "a lone surrogate": (_FORM, b"grant_type=password&username=%ed%a0%80&password=x", 400, "invalid_request"),
    "not UTF-8": (_FORM, b"grant_type=password&username=%ff&password=x", 400, "invalid_request"),
    "body of 65 KiB": (_FORM, b"grant_type=password&username=alice&password=" + b"x" * 66_560, 413, "invalid_request"),
    "password of 1 MB": (_FORM, b"grant_type=password&username=alice&password=" + b"x" * 10**6, 413, "invalid_request"),
    "password of 1,025 bytes": (_FORM, b"grant_type=password&username=alice&password=" + b"x" * 1025, 400, ""),
    "user with a NUL": (_FORM, b"grant_type=password&username=a%00b&password=x", 400, ""),
    "unknown scope": (_FORM, _LOGIN.encode() + b"&scope=nothing", 400, "invalid_scope"),
    "scope in quotes": (_FORM, _LOGIN.encode() + b'&scope="a"', 400, "invalid_scope"),
    "unknown resource": (_FORM, _LOGIN.encode() + b"&resource=https://elsewhere.example", 400, "invalid_target"),
    "unknown client": (_FORM, _LOGIN.encode() + b"&client_id=nobody", 401, "invalid_client"),
}


@pytest.mark.parametrize("name", _BAD_FORMS)
def test_bad_input_is_answered_in_the_protocols_words(gateway: Gateway, name: str) -> None:
    content_type, body, status, error = _BAD_FORMS[name]
    answer = gateway.identity.post("/t/acme/token", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] == error or error == ""
    assert answer.headers["cache-control"] == "no-store"
    assert PASSWORD not in answer.text


def test_a_header_block_over_the_limit_is_431(gateway: Gateway) -> None:
    assert gateway.identity.post("/t/acme/token", headers={"X-A": "a" * 40_000}).status_code == 431


def test_bad_tokens_are_401(gateway: Gateway) -> None:
    deep = "e30." + "W" * 80_000
    for token in ("x", "a.b.c", "..", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", deep[:30_000], "\u00fc"):
        answer = gateway.api.get("/orders/1", headers=[(b"Authorization", f"Bearer {token}".encode("latin-1"))])
        assert answer.status_code == 401, token[:40]
    assert gateway.api.get("/orders/1", headers={"Host": API, "Authorization": "Basic eDp5"}).status_code == 401

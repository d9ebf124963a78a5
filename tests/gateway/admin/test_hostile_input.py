"""Whatever arrives is done or refused as the document says: never a 5xx, never a member that nobody asked for."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.admin.operation import Operation
from gateway.admin.operations import OPERATIONS
from tests.gateway.admin.house import DOCUMENT, House
from tests.gateway.admin.targets import BODIES, PATCHES
from tests.gateway.world import ORDERS

ACME = "/v1/tenants/acme"
BOUNDED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FORBIDDEN = ("tenant_id", "id", "roles_", "is_admin", "password_hash", "created_at", "__proto__", "active ")
WRITES = [each for each in OPERATIONS if each.body is not None and not each.body_optional]


async def path_of(house: House, operation: Operation, name: str) -> str:
    """Of something that is there."""
    async with house.world.installation.store.for_tenant(house.acme.id) as store:
        if await store.groups.get("staff") is None:
            await store.groups.create("staff")
    values = {"slug": "acme", "role": "reader", "group": "staff", "client_id": "spa"}
    return f"/v1{operation.path.format_map({**values, 'user_id': house.world.acme.users[name]})}"


async def test_m01_no_body_has_a_member_that_was_not_asked_for(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for operation in WRITES:
            path = await path_of(house, operation, "alice")
            for name in FORBIDDEN:
                if operation.method == "PATCH":
                    answer = await caller.patch(path, {**PATCHES[operation.name], name: "x"})
                else:
                    answer = await caller.call(operation.method, path, {**BODIES[operation.name], name: "x"})
                assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), (operation.name, name)
                assert [each["pointer"] for each in answer.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json_invalid"),
        (b"null", 400, "json_invalid"),
        (b"[]", 400, "json_invalid"),
        (b'{"name":"a","name":"b","scopes":[]}', 400, "json_invalid"),
        (b'{"name":"a","scopes":[NaN]}', 400, "json_invalid"),
        (b'{"name":"\\ud800","scopes":[]}', 400, "json_invalid"),
        (b'{"name":"\xff","scopes":[]}', 400, "json_invalid"),
        (b'{"a":' * 100_000, 413, "body_too_large"),
        (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, 400, "json_invalid"),
        (b'{"name":"a\\u0000b","scopes":[]}', 422, "validation_failed"),
        (b'{"name":"a","scopes":["b\\u0000"]}', 422, "validation_failed"),
        (b'{"name":"a","scopes":[' + b"9" * 5000 + b"]}", 400, "json_invalid"),
        (b'{"name":1,"scopes":[]}', 422, "validation_failed"),
        (b'{"name":"a","scopes":"orders:read"}', 422, "validation_failed"),
        (b'{"name":"a","scopes":null}', 422, "validation_failed"),
        (b'{"name":"../x","scopes":[]}', 422, "validation_failed"),
    ],
    ids=range(16),
)
async def test_a_body_has_one_reading(house: House, body: bytes, status: int, code: str) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.post(f"{ACME}/roles", content=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        patched = await caller.patch(f"{ACME}/roles/reader", None, content=body)
        assert patched.status_code in (400, 413, 422)


@pytest.mark.parametrize("sent", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"])
async def test_a_body_is_of_its_media_type(house: House, sent: str) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.post(f"{ACME}/roles", BODIES["create_role"], headers={"Content-Type": sent})
        assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")
        for wrong in (sent, "application/json"):
            headers = {"Content-Type": wrong}
            patched = await caller.patch(f"{ACME}/roles/reader", {"scopes": []}, headers=headers)
            assert (patched.status_code, patched.headers["accept-patch"]) == (415, "application/merge-patch+json")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=ten",
        "limit=1&limit=2",
        "unknown=1",
        "active=maybe",
        "cursor=x&unknown",
        "name=%00",
        "name=",
        "limit=9999999999999999999999999999",
    ],
)
async def test_a_query_is_read_strictly(house: House, query: str) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.get(f"{ACME}/users?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
        elsewhere = await caller.get(f"{ACME}/users/{house.world.acme.users['alice']}?x=1")
        assert elsewhere.status_code == 422


@pytest.mark.parametrize("query", ["since=0001-01-01T00:00:00%2B23:59", "until=9999-12-31T23:59:59-23:59", "since=now"])
async def test_a_time_that_is_none_is_refused(house: House, query: str) -> None:
    async with house.client(await house.operator()) as caller:
        assert (await caller.get(f"{ACME}/audit/events?{query}")).status_code == 422


@pytest.mark.parametrize("path", ["/users/%2e%2e", "//users", "/users/%2F", "/users/%00", "/users%5cx", "/users/%ff"])
async def test_a_path_has_one_reading(house: House, path: str) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.client.get(f"{ACME}{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, "path_not_canonical")


@pytest.mark.parametrize("user_id", ["alice", "{upper}", "{braces}", "0", "{hex}"])
async def test_an_id_has_one_spelling(house: House, user_id: str) -> None:
    alice = str(house.world.acme.users["alice"])
    spelled = user_id.format(upper=alice.upper(), braces="{" + alice + "}", hex=alice.replace("-", ""))
    async with house.client(await house.operator()) as caller:
        answer = await caller.get(f"{ACME}/users/{spelled}")
    assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found")


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "DELETE"])
async def test_a_method_that_is_not_answered_names_those_that_are(house: House, method: str) -> None:
    async with house.client(await house.operator()) as caller:
        answer = await caller.client.request(method, f"{ACME}/users")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_head_is_get_without_its_body(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        got, head = await caller.get(ACME), await caller.client.head(ACME)
    assert head.status_code == 200
    assert head.headers["etag"] == got.headers["etag"]


# -- whatever the document lets one think of -------------------------------------------------------------------------

_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\0", "a" * 5000, "https://x.example/", "http://[", "urn:x:y", "ES256", "orders:read", "\u202e"]
    ),
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), _TEXTS
)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def members_of(name: str) -> list[str]:
    """What the document lets a body of this operation have."""
    operation = next(each for each in WRITES if each.name == name)
    content = DOCUMENT["paths"][f"/v1{operation.path}"][operation.method.lower()]["requestBody"]["content"]
    (media,) = content.values()
    schema = media["schema"]
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return sorted(schema["properties"])


def plausible(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """A body that would be done, with some members replaced."""
    usual = {**BODIES.get(name, {}), **PATCHES.get(name, {})}
    changes = st.dictionaries(st.sampled_from(members_of(name)), _ANYTHING, max_size=3)
    return changes.map(lambda changed: {**usual, **changed})


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.name)
@BOUNDED
@given(data=st.data())
async def test_no_body_is_more_than_refused(house: House, operation: Any, data: st.DataObject) -> None:
    body = data.draw(plausible(operation.name))
    path = await path_of(house, operation, "bob")
    async with house.client(await house.operator()) as caller:
        if operation.method == "PATCH":
            answer = await caller.patch(path, body, tag="*")
        else:
            answer = await caller.call(operation.method, path, body)
    assert answer.status_code < 500, json.dumps(body)


@BOUNDED
@given(field=st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\r\n\0")), cursor=st.text(max_size=40))
async def test_any_bytes_in_fields_and_cursors(house: House, field: bytes, cursor: str) -> None:
    async with house.client(await house.operator()) as caller:
        headers = [(name, field) for name in (b"if-match", b"content-type", b"idempotency-key", b"content-length")]
        for method in ("POST", "PATCH"):
            path = f"{ACME}/roles" + ("" if method == "POST" else "/reader")
            answer = await caller.client.request(method, path, content=b"{}", headers=headers)
            assert answer.status_code < 500
        answer = await caller.get(f"{ACME}/users", params={"cursor": cursor})
        assert answer.status_code in (400, 422)


async def test_a_machines_audience_is_a_uri(house: House) -> None:
    """The patched whole is judged: what stays must go with what changes."""
    async with house.client(await house.operator()) as caller:
        answer = await caller.patch(f"{ACME}/clients/web", {"auth_method": "none"})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
        assert "client_credentials needs a confidential client" in answer.json()["errors"][0]["detail"]
        assert (await caller.patch(f"{ACME}/clients/web", {"audiences": None})).status_code == 422
        done = await caller.patch(f"{ACME}/clients/web", {"audiences": [ORDERS], "origins": None})
        assert (done.status_code, done.json()["origins"]) == (200, [])

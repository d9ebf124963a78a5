"""Which header fields go through, in both directions, and what the gateway adds."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.headers import HeaderReader, Kind, classify
from tests.gateway.proxy.harness import ALICE, Client, polite, request, world

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "headers.json").read_text()
)
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01")


def fields(head: bytes) -> list[tuple[str, str]]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return [(line.partition(": ")[0], line.partition(": ")[2]) for line in lines]


async def sent(client: Client) -> tuple[list[tuple[str, str]], bytes]:
    """What the upstream sees of a request."""
    async with world(polite) as (made, upstream):
        await made.ask(client)
        assert client.status == 200
        return fields(upstream.heads[0]), upstream.heads[0]


@pytest.mark.parametrize("row", VECTORS["request"], ids=lambda row: f"{row['name']}: {row['value']}")
async def test_request_field(row: dict[str, Any]) -> None:
    peer = "10.0.0.1" if row.get("trusted") else "192.0.2.7"
    seen, head = await sent(request("GET", "/public/x", (row["name"], row["value"]), token=None, peer=peer))
    values = [value for name, value in seen if name == row["name"]]
    if row["upstream"] == "generated":
        assert len(values) == 1
        assert TRACEPARENT.fullmatch(values[0])
        assert row["value"] not in values
    elif row["upstream"] is None:
        assert row["value"] not in values
        assert b"evil-value" not in head
    else:
        assert values == [row["upstream"]]


@pytest.mark.parametrize("row", VECTORS["answer"], ids=lambda row: f"{row['name']}: {row['value']}")
async def test_answer_field(row: dict[str, Any]) -> None:
    answer = f"HTTP/1.1 200 OK\r\n{row['name']}: {row['value']}\r\nContent-Length: 2\r\n\r\nok".encode("latin-1")
    async with world(lambda peer: peer.answer(answer)) as (made, _):
        client = await made.ask(request())
        assert client.status == 200
        values = [
            value.decode("latin-1")
            for name, value in client.messages[0]["headers"]
            if name == row["name"].lower().encode()
        ]
    if row["client"] is None:
        assert row["value"] not in values
        assert values == ([client.headers["x-request-id"]] if row["name"] == "X-Request-Id" else [])
    else:
        assert values == [row["client"]]


async def test_the_request_line_and_host_are_the_client_s_byte_for_byte() -> None:
    client = request("GET", "/files/a%2fb%C3%a9", query="q=%2F..&&x")
    _, head = await sent(client)
    assert head.startswith(b"GET /files/a%2fb%C3%a9?q=%2F..&&x HTTP/1.1\r\nhost: api.example.com\r\n")


async def test_the_identity_is_told() -> None:
    seen, _ = await sent(request())
    told = dict(seen)
    assert told["x-yett-tenant"] == "acme"
    assert told["x-yett-subject"] == "alice"
    assert told["x-yett-client"] == "demo-app"
    assert told["x-yett-scopes"] == "orders:read orders:write"
    assert "authorization" not in told


async def test_what_a_client_says_it_is_is_replaced_and_not_joined() -> None:
    seen, _ = await sent(request("GET", "/orders/7", ("x-yett-tenant", "globex"), ("X_Yett_Tenant".lower(), "globex")))
    assert [value for name, value in seen if "tenant" in name] == ["acme"]


async def test_no_value_of_an_identity_can_end_its_line() -> None:
    async with world(polite) as (made, upstream):
        made.principals[b"odd"] = replace(ALICE, subject="a\r\nx-yett-tenant: globex %41\u00e9", client_id="")
        await made.ask(request(token="odd"))
        told = dict(fields(upstream.heads[0]))
        assert told["x-yett-subject"] == "a%0D%0Ax-yett-tenant:%20globex%20%2541%C3%A9"
        assert told["x-yett-client"] == ""
        assert told["x-yett-tenant"] == "acme"


async def test_two_principals_are_never_mixed_up() -> None:
    async with world(polite) as (made, upstream):
        made.principals[b"bob"] = replace(ALICE, subject="bob")
        for token in ("alice", "bob", "alice"):
            await made.ask(request(token=token))
        assert [dict(fields(head))["x-yett-subject"] for head in upstream.heads] == ["alice", "bob", "alice"]


async def test_the_token_is_passed_on_only_where_the_route_says_so() -> None:
    seen, _ = await sent(request("GET", "/passes/x"))
    assert ("authorization", "Bearer alice") in seen


async def test_ids_are_added_and_belong_together() -> None:
    client = request()
    seen, _ = await sent(client)
    told = dict(seen)
    trace = TRACEPARENT.fullmatch(told["traceparent"])
    assert trace
    assert told["x-request-id"] == client.headers["x-request-id"] == trace[1]


async def test_tracestate_goes_with_a_valid_traceparent_only() -> None:
    valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    seen, _ = await sent(
        request("GET", "/orders/7", ("traceparent", valid), ("tracestate", "a=1"), ("tracestate", "b=2"))
    )
    assert [value for name, value in seen if name == "tracestate"] == ["a=1", "b=2"]
    seen, _ = await sent(
        request("GET", "/orders/7", ("traceparent", valid), ("traceparent", valid), ("tracestate", "a=1"))
    )
    assert "tracestate" not in dict(seen)
    assert [value for name, value in seen if name == "traceparent"] != [valid]


async def test_where_it_came_from_is_told_and_not_believed() -> None:
    seen, _ = await sent(
        request(
            "GET",
            "/orders/7",
            ("x-forwarded-for", "10.9.8.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test"),
        )
    )
    assert [pair for pair in seen if pair[0].startswith("x-forwarded")] == [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "api.example.com"),
    ]


async def test_a_trusted_proxy_s_word_is_passed_on_without_what_its_client_wrote() -> None:
    seen, _ = await sent(
        request(
            "GET",
            "/orders/7",
            ("x-forwarded-for", "203.0.113.66, 198.51.100.9"),
            ("x-forwarded-proto", "https"),
            peer="10.0.0.1",
        )
    )
    assert dict(seen)["x-forwarded-for"] == "198.51.100.9, 10.0.0.1"
    assert dict(seen)["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("proto", ["gopher", "https\t", "HTTPS", ""])
async def test_a_scheme_that_is_none_is_not_passed_on(proto: str) -> None:
    seen, _ = await sent(request("GET", "/orders/7", ("x-forwarded-proto", proto), peer="10.0.0.1"))
    assert dict(seen)["x-forwarded-proto"] == "http"


async def test_one_client_s_word_is_not_remembered_for_the_next() -> None:
    async with world(polite) as (made, upstream):
        for client in ("198.51.100.9", "198.51.100.10"):
            await made.ask(request("GET", "/orders/7", ("x-forwarded-for", client), peer="10.0.0.1"))
        await made.ask(request("GET", "/orders/7", ("x-forwarded-for", "198.51.100.11"), host="api.example.com"))
        assert [dict(fields(head))["x-forwarded-for"].split(",")[0] for head in upstream.heads] == [
            "198.51.100.9",
            "198.51.100.10",
            "192.0.2.7",
        ]


async def test_connection_strips_what_it_names_but_nothing_of_ours() -> None:
    named = "close, x-yett-tenant, x-forwarded-for, X-Hop, x-request-id, traceparent, host, content-length, cookie"
    seen, _ = await sent(
        request(
            "GET",
            "/orders/7",
            ("connection", named),
            ("x-hop", "1"),
            ("x-end", "2"),
            ("cookie", "a=b"),
            ("content-length", "0"),
        ).say()
    )
    told = dict(seen)
    assert "x-hop" not in told
    assert "connection" not in told
    for name, value in (
        ("x-end", "2"),
        ("x-yett-tenant", "acme"),
        ("x-forwarded-for", "192.0.2.7"),
        ("host", "api.example.com"),
        ("content-length", "0"),
    ):
        assert told[name] == value
    assert "x-request-id" in told


async def test_several_fields_of_one_name_stay_several_and_in_order() -> None:
    seen, _ = await sent(request("GET", "/orders/7", ("x-a", "1"), ("x-b", "2"), ("x-a", "3")))
    assert [pair for pair in seen if pair[0] in ("x-a", "x-b")] == [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]


async def test_connection_of_the_answer_strips_what_it_names_but_not_the_length() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop, content-length\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok"
    )
    async with world(lambda peer: peer.answer(answer)) as (made, _):
        client = await made.ask(request())
        assert "x-hop" not in client.headers
        assert client.headers["x-end"] == "2"
        assert client.headers["content-length"] == "2"


def test_memory_of_names_is_bounded() -> None:
    reader = HeaderReader()
    reader.read((b"x-%d" % number, b"") for number in range(50_000))
    assert len(reader._kinds) <= 2048


@given(
    st.lists(st.sampled_from([b"x", b"yett", b"-", b"_", b".", b"~", b"forwarded", b"for", b"proxy"]), min_size=1).map(
        b"".join
    )
)
def test_nothing_that_reads_as_one_of_ours_is_kept(name: bytes) -> None:
    reading = re.sub(rb"[^a-z0-9]+", b"-", name).strip(b"-")
    if reading == b"x-yett" or reading.startswith((b"x-yett-", b"proxy-", b"x-forwarded-")):
        assert classify(name) is not Kind.KEEP

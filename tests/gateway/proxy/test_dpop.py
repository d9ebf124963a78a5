"""Bound access tokens at the proxy (RFC 9449 sections 7 and 9): a token without its key is worth nothing."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.authn.dpop import ALGORITHMS
from gateway.authn.dpop_nonce import SPAN
from gateway.proxy.plane_config import PlaneConfig
from policies.route import Route
from policies.route_table import RouteTable
from tests.gateway.prover import Prover
from tests.gateway.proxy.harness import ALICE, HOST, READ, Client, Peer, World, polite, request, world

API = f"http://{HOST}"
CHALLENGE = f'DPoP realm="yett", error="{{}}", algs="{ALGORITHMS}"'


def silent() -> tuple[World, Prover]:
    """A world whose upstream is not there, and alice's client, which has a nonce already."""
    made = World(1)
    return made, holder(made)


def holder(made: World) -> Prover:
    prover = Prover()
    prover.nonce = made.nonces.current(ALICE.tenant_id)
    made.principals[b"bound"] = replace(ALICE, confirmation=prover.thumbprint)
    return prover


def bound(
    made: World,
    prover: Prover | None,
    method: str = "GET",
    path: str = "/orders/7",
    *headers: tuple[str, str],
    token: str = "bound",
    scheme: str = "DPoP",
    url: str | None = None,
    options: dict[str, Any] | None = None,
    **changes: Any,
) -> Client:
    """A request with a bound token, and a proof where there is a prover."""
    fields = [*headers, ("authorization", f"{scheme} {token}")]
    if prover is not None:
        fields.append(("dpop", prover.prove(method, url or API + path, made.time(), token, **changes)))
    return request(method, path, *fields, token=None, **(options or {}))


async def told(made: World, client: Client) -> tuple[int, str, str]:
    """Status, code and the reason that the log keeps."""
    await made.ask(client)
    assert len(made.pool) == 0
    status = client.status
    assert status is not None
    return status, client.problem["code"], made.seen[-1].reason


async def test_who_holds_the_key_gets_through_and_is_told_the_next_nonce() -> None:
    async with world(polite) as (made, upstream):
        prover = holder(made)
        client = await made.ask(bound(made, prover))
        assert client.status == 200
        assert client.headers["dpop-nonce"] == made.nonces.current(ALICE.tenant_id)
        assert b"x-yett-subject: alice\r\n" in upstream.heads[0]
        assert b"dpop" not in upstream.heads[0].lower()
        assert b"authorization" not in upstream.heads[0].lower()


async def test_a_bearer_s_request_is_as_it_was() -> None:
    async with world(polite) as (made, upstream):
        client = await made.ask(request("GET", "/orders/7", ("dpop", "whatever")))
        assert client.status == 200
        assert "dpop-nonce" not in client.headers
        assert b"dpop" not in upstream.heads[0]


async def test_where_the_token_is_passed_on_its_proof_is_too() -> None:
    async with world(polite) as (made, upstream):
        client = bound(made, holder(made), path="/passes/x")
        await made.ask(client)
        assert client.status == 200
        proof = next(value for name, value in client.scope["headers"] if name == b"dpop")
        assert b"authorization: DPoP bound\r\n" in upstream.heads[0]
        assert b"dpop: " + proof + b"\r\n" in upstream.heads[0]


async def test_a_nonce_of_the_upstream_s_own_does_not_reach_who_has_ours() -> None:
    answer = b"HTTP/1.1 200 OK\r\nDPoP-Nonce: theirs\r\nContent-Length: 2\r\n\r\nok"

    async def script(peer: Peer) -> None:
        await peer.answer(answer)
        await peer.answer(answer)

    async with world(script) as (made, _):
        client = await made.ask(bound(made, holder(made)))
        nonces = [value for name, value in client.messages[0]["headers"] if name == b"dpop-nonce"]
        assert nonces == [made.nonces.current(ALICE.tenant_id).encode()]
        assert (await made.ask(request("GET", "/public/x", token=None))).headers["dpop-nonce"] == "theirs"


async def test_a_stolen_token_is_worth_nothing_as_a_bearer_s() -> None:
    made, _ = silent()
    client = bound(made, None, scheme="Bearer")
    assert await told(made, client) == (401, "invalid_token", "token_is_bound")
    assert client.headers["www-authenticate"] == CHALLENGE.format("invalid_token")
    [seen] = made.seen
    assert (seen.tenant_id, seen.subject) == (ALICE.tenant_id, None)  # it is not alice who sends it


async def test_a_stolen_token_is_worth_nothing_with_a_proof_as_a_bearer_s() -> None:
    made, prover = silent()
    assert await told(made, bound(made, prover, scheme="Bearer")) == (401, "invalid_token", "token_is_bound")


async def test_a_stolen_token_is_worth_nothing_without_a_proof() -> None:
    made, _ = silent()
    client = bound(made, None)
    assert await told(made, client) == (401, "invalid_dpop_proof", "dpop_proof_missing")
    assert client.headers["www-authenticate"] == CHALLENGE.format("invalid_dpop_proof")
    assert client.headers["dpop-nonce"] == made.nonces.current(ALICE.tenant_id)
    assert made.seen[0].subject is None


async def test_a_stolen_token_is_worth_nothing_with_another_key() -> None:
    made, prover = silent()
    thief = Prover()
    thief.nonce = prover.nonce
    assert await told(made, bound(made, thief)) == (401, "invalid_dpop_proof", "dpop_key_mismatch")


async def test_a_token_that_is_not_bound_comes_as_a_bearer_s_only() -> None:
    made, prover = silent()
    client = bound(made, prover, token="alice")
    assert await told(made, client) == (401, "invalid_token", "token_not_bound")
    assert client.headers["www-authenticate"] == CHALLENGE.format("invalid_token")


async def test_a_token_that_will_not_do_is_told_so_in_its_scheme() -> None:
    made, prover = silent()
    client = bound(made, prover, token="forged")
    assert await told(made, client) == (401, "invalid_token", "signature_invalid")
    assert client.headers["www-authenticate"] == CHALLENGE.format("invalid_token")


async def test_without_a_nonce_one_is_given_and_with_it_the_request_goes_through() -> None:
    async with world(polite) as (made, upstream):
        prover = holder(made)
        prover.nonce = None
        client = await made.ask(bound(made, prover))
        assert (client.status, client.problem["code"]) == (401, "use_dpop_nonce")
        assert client.headers["www-authenticate"] == CHALLENGE.format("use_dpop_nonce")
        prover.nonce = client.headers["dpop-nonce"]
        assert (await made.ask(bound(made, prover))).status == 200
        assert len(upstream.heads) == 1


async def test_the_nonce_of_the_last_span_counts_and_that_of_the_one_before_does_not() -> None:
    async with world(polite) as (made, _):
        prover = holder(made)
        made.later(SPAN)
        client = await made.ask(bound(made, prover))
        assert client.status == 200
        assert client.headers["dpop-nonce"] != prover.nonce
        made.later(SPAN)
        assert (await made.ask(bound(made, prover))).problem["code"] == "use_dpop_nonce"


async def test_a_proof_is_used_once() -> None:
    async with world(polite) as (made, upstream):
        prover = holder(made)
        assert (await made.ask(bound(made, prover, jti="once"))).status == 200
        client = await made.ask(bound(made, prover, jti="once"))
        assert (client.status, client.problem["code"]) == (401, "invalid_dpop_proof")
        assert made.seen[-1].reason == "dpop_replayed"
        assert len(upstream.heads) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"htm": "POST"}, "dpop_method"),
        ({"htu": f"{API}/orders/8"}, "dpop_url"),
        ({"htu": "http://elsewhere.example/orders/7"}, "dpop_url"),
        ({"htu": f"https://{HOST}/orders/7"}, "dpop_url"),
        ({"iat": 1}, "dpop_too_old"),
        ({"ath": None}, "dpop_token_hash"),
        ({"ath": "of another token"}, "dpop_token_hash"),
    ],
)
async def test_a_proof_of_something_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    made, prover = silent()
    client = bound(made, prover, **changes)
    assert await told(made, client) == (401, "invalid_dpop_proof", reason)
    assert reason.encode() not in client.body


@pytest.mark.parametrize("htu", [f"{API}/orders/7?a=b", f"HTTP://{HOST.upper()}:80/orders/7#x"])
async def test_an_address_in_another_spelling_is_the_same(htu: str) -> None:
    async with world(polite) as (made, _):
        options = {"query": "other=1"}
        assert (await made.ask(bound(made, holder(made), htu=htu, options=options))).status == 200


@pytest.mark.parametrize(
    ("peer", "proto", "url", "status"),
    [
        ("10.0.0.1", "https", f"https://{HOST}/orders/7", 200),
        ("10.0.0.1", "https", f"{API}/orders/7", 401),
        ("192.0.2.7", "https", f"https://{HOST}/orders/7", 401),
        ("192.0.2.7", "https", f"{API}/orders/7", 200),
        ("10.0.0.1", "gopher", f"{API}/orders/7", 200),
    ],
)
async def test_the_scheme_is_what_a_trusted_proxy_says(peer: str, proto: str, url: str, status: int) -> None:
    async with world(polite) as (made, _):
        forwarded = ("x-forwarded-proto", proto)
        options = {"peer": peer}
        client = bound(made, holder(made), "GET", "/orders/7", forwarded, url=url, options=options)
        assert (await made.ask(client)).status == status


async def test_the_port_of_the_host_is_part_of_the_address() -> None:
    async with world(polite) as (made, _):
        options = {"host": f"{HOST}:8443"}
        route = Route("elsewhere", (f"{HOST}:8443",), "/orders/**", READ, "orders")
        made.plane.config = PlaneConfig(RouteTable.compile((route,)), {"orders": made.pool})
        prover = holder(made)
        with_port = bound(made, prover, url=f"http://{HOST}:8443/orders/7", options=options)
        assert (await made.ask(with_port)).status == 200
        assert (await made.ask(bound(made, prover, options=options))).problem["code"] == "invalid_dpop_proof"


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
async def test_two_proofs_are_400_whatever_the_token(scheme: str) -> None:
    made, prover = silent()
    second = ("dpop", prover.prove("GET", f"{API}/orders/7", made.time(), "bound"))
    client = bound(made, prover, "GET", "/orders/7", second, scheme=scheme)
    assert await told(made, client) == (400, "dpop_repeated", "dpop_repeated")


async def test_what_the_key_s_holder_may_not_do_is_told_in_its_scheme() -> None:
    made, prover = silent()
    made.principals[b"bound"] = replace(ALICE, scopes=frozenset(), confirmation=prover.thumbprint)
    client = bound(made, prover)
    assert await told(made, client) == (403, "insufficient_scope", "insufficient_scope")
    assert client.headers["www-authenticate"] == (
        f'DPoP realm="yett", error="insufficient_scope", scope="orders:read", algs="{ALGORITHMS}"'
    )
    assert made.seen[0].subject == "alice"


async def test_an_anonymous_route_asks_for_no_proof() -> None:
    async with world(polite) as (made, _):
        assert (await made.ask(bound(made, None, path="/public/x"))).status == 200
        assert made.verified == []


@pytest.mark.parametrize("value", ["DPoP", "DPoP ", "dpop", "DPoPbound"])
async def test_half_a_scheme_is_no_token(value: str) -> None:
    made, _ = silent()
    client = request("GET", "/orders/7", ("authorization", value), token=None)
    status, _, _ = await told(made, client)
    assert status == 401


async def test_the_scheme_is_compared_without_case() -> None:
    async with world(polite) as (made, _):
        assert (await made.ask(bound(made, holder(made), scheme="dPoP"))).status == 200

"""Bound access tokens where they are used, as a tenant issues them: at an API behind the proxy, and at userinfo."""

from typing import Any

import pytest

from gateway.authn.bearer import Bearer
from gateway.authn.dpop import ALGORITHMS, Possession, ProofCheck, SeenProofs
from gateway.authn.dpop_nonce import DpopNonces
from gateway.authn.standing import Standings
from gateway.authn.token_table import TokenTable
from gateway.proxy.identity_token import IdentityTokens
from gateway.proxy.plane import DataPlane
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream
from policies.route import Route
from policies.route_table import RouteTable
from tenants.active_keys import ActiveKeys
from tests.gateway.oauth.openid import offer, userinfo
from tests.gateway.oauth.test_dpop import proved, ready
from tests.gateway.prover import Prover
from tests.gateway.proxy.harness import HOST, READ, Client, ScriptedUpstream, polite, request
from tests.gateway.world import ORDERS, World

ADDRESS = f"http://{HOST}/orders/7"


async def logged_in(world: World, scope: str = "orders:read") -> tuple[Prover, str]:
    prover = await ready(world)
    answer = await proved(world, prover, world.acme.form(scope=scope))
    assert answer.status_code == 200, answer.text
    return prover, str(answer.json()["access_token"])


def proof(world: World, prover: Prover, method: str, url: str, token: str | None, **changes: Any) -> str:
    return prover.prove(method, url, world.clock.now.timestamp(), token, **changes)


def data_plane(world: World, port: int, seen: list[Any]) -> tuple[DataPlane, UpstreamPool]:
    """As ``compose`` makes it, by the world's clock, with a process's own table of nonces and proofs."""

    def seconds() -> float:
        return world.clock.now.timestamp()

    nonces = DpopNonces(lambda: world.installation.master_keys.derived("dpop nonce"), seconds)
    pool = UpstreamPool(Upstream("orders", (f"http://127.0.0.1:{port}",), ORDERS))
    route = Route("orders", (HOST,), "/orders/**", READ, "orders")
    plane = DataPlane(
        PlaneConfig(RouteTable.compile((route,)), {"orders": pool}),
        authenticate=Bearer(world.snapshot, TokenTable(), seconds).authenticate,
        possession=Possession(ProofCheck(nonces, seconds), SeenProofs(), seconds),
        standings=Standings(world.snapshot),
        feed_fresh=lambda: True,
        observe=seen.append,
        identities=IdentityTokens(ActiveKeys(world.installation.store, world.snapshot), lambda _: None, seconds),
        now=seconds,
    )
    return plane, pool


async def test_a_token_and_a_nonce_of_the_issuer_are_good_at_an_api(world: World) -> None:
    prover, token = await logged_in(world)
    seen: list[Any] = []
    async with ScriptedUpstream(polite).running() as upstream:
        plane, pool = data_plane(world, upstream.port, seen)

        async def ask(*headers: tuple[str, str]) -> Client:
            client = request("GET", "/orders/7", *headers, token=None)
            await plane(client.scope, client.receive, client.send)
            return client

        try:
            dpop = ("dpop", proof(world, prover, "GET", ADDRESS, token))
            assert (await ask(("authorization", f"DPoP {token}"), dpop)).status == 200
            assert (await ask(("authorization", f"DPoP {token}"), dpop)).status == 401
            assert (await ask(("authorization", f"Bearer {token}"))).status == 401
            stolen = Prover()
            stolen.nonce = prover.nonce
            dpop = ("dpop", proof(world, stolen, "GET", ADDRESS, token))
            assert (await ask(("authorization", f"DPoP {token}"), dpop)).status == 401
        finally:
            pool.close()
        assert len(upstream.heads) == 1
    assert [one.reason for one in seen] == ["dpop_replayed", "token_is_bound", "dpop_key_mismatch"]
    assert {one.tenant_id for one in seen} == {world.acme.id}


async def test_userinfo_answers_who_holds_the_key(world: World) -> None:
    await offer(world)
    prover, token = await logged_in(world, "openid")
    dpop = proof(world, prover, "GET", f"{world.acme.issuer}/userinfo", token)
    answer = await userinfo(world, token, scheme="DPoP", headers={"DPoP": dpop})
    assert answer.status_code == 200, answer.text
    assert answer.json()["sub"] == str(world.acme.users["alice"])
    assert answer.headers["DPoP-Nonce"] == prover.nonce
    replayed = await userinfo(world, token, scheme="DPoP", headers={"DPoP": dpop})
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_dpop_proof")


@pytest.mark.parametrize(
    ("scheme", "changes", "error"),
    [
        ("Bearer", None, "invalid_token"),
        ("Bearer", {}, "invalid_token"),
        ("DPoP", None, "invalid_dpop_proof"),
        ("DPoP", {"htm": "POST"}, "invalid_dpop_proof"),
        ("DPoP", {"ath": "another"}, "invalid_dpop_proof"),
        ("DPoP", {"nonce": None}, "use_dpop_nonce"),
    ],
)
async def test_userinfo_refuses_everybody_else(
    world: World, scheme: str, changes: dict[str, Any] | None, error: str
) -> None:
    await offer(world)
    prover, token = await logged_in(world, "openid")
    headers = {}
    if changes is not None:
        headers["DPoP"] = proof(world, prover, "GET", f"{world.acme.issuer}/userinfo", token, **changes)
    answer = await userinfo(world, token, scheme=scheme, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert answer.headers["WWW-Authenticate"] == f'DPoP error="{error}", algs="{ALGORITHMS}"'


async def test_userinfo_takes_a_token_that_is_not_bound_from_a_bearer_only(world: World) -> None:
    await offer(world)
    token = (await world.login(scope="openid"))["access_token"]
    assert (await userinfo(world, token)).status_code == 200
    answer = await userinfo(world, token, scheme="DPoP")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")

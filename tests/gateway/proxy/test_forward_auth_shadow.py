"""Forward auth follows the configuration, and a route in shadow lets others' proxies pass everybody on."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.proxy.plane_config import PlaneConfig
from gateway.settings import HostPort, HostSet
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Scopes
from tests.gateway.proxy.asking import traefik
from tests.gateway.proxy.harness import HOST, World, polite, world
from tests.gateway.proxy.test_forward_auth import AUDIENCE_ALONE, Asked, identity

NEVER = Scopes(frozenset({"never"}))
ALONE = Route("trial", (HOST,), "/trial", NEVER, "", audience=AUDIENCE_ALONE, shadow=True)


def with_routes(made: World, *routes: Route) -> Asked:
    asked = Asked(made)
    made.plane.config = PlaneConfig(RouteTable.compile(routes), {"orders": made.pool}, digest="d")
    return asked


@pytest.mark.parametrize("route", [ALONE, replace(ALONE, upstream="orders", audience=None)], ids=["alone", "upstream"])
async def test_in_shadow_it_says_yes_and_notes_what_it_would_have_said(route: Route) -> None:
    async with world(polite) as (made, _):
        asked = with_routes(made, route)
        named = await asked.ask(traefik("/trial"))
        nobody = await asked.ask(traefik("/trial", token=None))
    assert (named.status, nobody.status) == (200, 200)
    reason = "audience_mismatch" if route is ALONE else "insufficient_scope"
    assert [seen.reason for seen in made.seen] == [reason, "token_missing"]
    assert {(seen.outcome.partition("_")[0], seen.config) for seen in made.seen} == {("would", "d")}
    assert bool(identity(named)) == (route is not ALONE)
    assert identity(nobody) == {}


async def test_its_hosts_and_proxies_can_change() -> None:
    async with world(polite) as (made, _):
        asked = with_routes(made, replace(ALONE, shadow=False))
        assert (await asked.ask(traefik("/trial", token=None))).status == 401
        asked.app.serve(HostSet.of((HostPort("other.example.com"),)), (ip_network("10.1.0.0/16"),))
        assert (await asked.ask(traefik("/trial", token=None))).status == 404
    assert [seen.config for seen in made.seen] == ["d", "d"]

"""Routes whose upstream is each tenant's own: the right one, for its audience, or none at all."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.resource_metadata import Resources
from gateway.proxy.upstream import Upstream
from gateway.settings import HostPort, HostSet
from policies.principal import Principal
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous, Rule
from tests.gateway.proxy.harness import ALICE, HOST, READ, ScriptedUpstream, World, polite, request
from tests.gateway.proxy.test_identity_token import KEY
from tests.gateway.proxy.test_upstream_faults import problem_of


def audience(tenant: str) -> str:
    return f"https://{HOST}/{tenant}"


def principal(tenant: str, *audiences: str) -> Principal:
    return replace(ALICE, tenant=tenant, audiences=frozenset(audiences or {audience(tenant)}))


def route(*tenants: str, rule: Rule = READ, upstream: str = "live-{tenant}") -> Route:
    return Route("live", (HOST,), "/live/**", rule, upstream, tenants=frozenset(tenants) or None)


def pools(**ports: int) -> dict[str, UpstreamPool]:
    return {
        f"live-{tenant}": UpstreamPool(Upstream(f"live-{tenant}", (f"http://127.0.0.1:{port}",), audience(tenant)))
        for tenant, port in ports.items()
    }


class Tenants:
    """A data plane with two tenants' upstreams, and tokens named for tenants."""

    def __init__(self, acme: ScriptedUpstream, globex: ScriptedUpstream) -> None:
        self.acme, self.globex = acme, globex
        self.pools = pools(acme=acme.port, globex=globex.port)
        self.world = World(1)
        self.use(route())
        for tenant in ("acme", "globex", "initech"):
            self.world.principals[tenant.encode()] = principal(tenant)

    def use(self, *routes: Route) -> None:
        config = PlaneConfig(RouteTable.compile(routes), self.pools)
        audiences = {name: pool.upstream.audience for name, pool in self.pools.items()}
        resources = Resources.of(routes, audiences, HostSet.of([HostPort(HOST)]), lambda slug: f"https://auth/t/{slug}")
        self.world.plane.config = replace(config, resources=resources)

    async def ask(self, token: str | None) -> tuple[int | None, int, int]:
        client = await self.world.ask(request(path="/live/7", token=token))
        return client.status, len(self.acme.heads), len(self.globex.heads)


@pytest.fixture
async def tenants() -> AsyncIterator[Tenants]:
    async with ScriptedUpstream(polite).running() as acme, ScriptedUpstream(polite).running() as globex:
        made = Tenants(acme, globex)
        yield made
        for pool in made.pools.values():
            pool.close()


async def test_each_tenant_has_its_own(tenants: Tenants) -> None:
    assert await tenants.ask("acme") == (200, 1, 0)
    assert await tenants.ask("globex") == (200, 1, 1)
    assert await tenants.ask("acme") == (200, 2, 1)


async def test_a_tenant_without_one_gets_nobody_s(tenants: Tenants) -> None:
    client = await tenants.world.ask(request(path="/live/7", token="initech"))
    assert problem_of(client) == (404, "upstream_not_found")
    assert tenants.world.seen[-1].reason == "upstream_not_found"
    assert await tenants.ask("initech") == (404, 0, 0)


async def test_a_token_must_be_for_the_audience_of_that_upstream(tenants: Tenants) -> None:
    tenants.world.principals[b"acme"] = principal("acme", audience("globex"), audience("initech"))
    assert await tenants.ask("acme") == (401, 0, 0)
    assert tenants.world.seen[-1].reason == "audience_mismatch"


async def test_no_token_and_a_bad_one_are_401_as_ever(tenants: Tenants) -> None:
    for token, code in ((None, "token_missing"), ("nobody", "invalid_token")):
        client = await tenants.world.ask(request(path="/live/7", token=token))
        assert problem_of(client) == (401, code)


@pytest.mark.parametrize("slug", ["globex-", "{tenant}", "..", "", "GLOBEX", "live-globex"])
async def test_no_slug_leads_to_another_tenant_s(tenants: Tenants, slug: str) -> None:
    tenants.world.principals[b"odd"] = principal(slug, audience("globex"), audience("acme"))
    assert await tenants.ask("odd") == (404, 0, 0)


async def test_who_asks_is_vouched_for_to_that_upstream(tenants: Tenants) -> None:
    tenants.use(replace(route(), signed_identity=True))
    tenants.world.keys[ALICE.tenant_id] = KEY
    assert (await tenants.ask("globex"))[0] == 200
    (line,) = [line for line in tenants.globex.heads[0].split(b"\r\n") if line.startswith(b"x-yett-identity: ")]
    body = line.split(b".")[1]
    assert json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))["aud"] == audience("globex")


async def test_a_route_that_lists_its_tenants_is_for_them(tenants: Tenants) -> None:
    tenants.use(route("acme"))
    assert await tenants.ask("acme") == (200, 1, 0)
    assert await tenants.ask("globex") == (404, 1, 0)
    assert tenants.world.seen[-1].reason == "route_not_found"


async def test_a_fault_names_the_upstream_that_was_meant(tenants: Tenants, capsys: pytest.CaptureFixture[str]) -> None:
    tenants.pools |= pools(initech=1)
    tenants.use(route())
    assert (await tenants.ask("initech"))[0] == 502
    assert "live-initech" in capsys.readouterr().out


async def test_each_audience_has_its_metadata_with_its_own_tenant_only(tenants: Tenants) -> None:
    for tenant in ("acme", "globex"):
        client = await tenants.world.ask(request(path=f"/.well-known/oauth-protected-resource/{tenant}", token=None))
        assert client.status == 200
        assert f"https://auth/t/{tenant}".encode() in client.body
        assert client.body.count(b"https://auth/t/") == 1


@pytest.mark.parametrize(("listed", "told"), [((), 0), (("acme", "globex"), 2)])
async def test_an_audience_of_several_tenants_tells_of_those_that_a_route_lists(
    listed: tuple[str, ...], told: int
) -> None:
    audiences = {"live-acme": audience("live"), "live-globex": audience("live"), "live-initech": audience("other")}
    hosts = HostSet.of([HostPort(HOST)])
    resources = Resources.of((route(*listed),), audiences, hosts, lambda slug: f"https://auth/t/{slug}")
    answer = resources.answer("GET", HOST, "/.well-known/oauth-protected-resource/live", "")
    assert isinstance(answer, OwnAnswer)
    assert answer.body.count(b"https://auth/t/") == told
    assert (b"acme" in answer.body) is bool(told)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (route(rule=Anonymous()), "is anonymous"),
        (route("acme", "initech"), "names upstream live-initech, which there is not"),
        (route(upstream="orders"), "names upstream orders, which there is not"),
    ],
    ids=["anonymous", "a tenant without", "no such"],
)
async def test_a_configuration_that_leads_nowhere_is_refused(wrong: Route, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PlaneConfig(RouteTable.compile([wrong]), pools(acme=1, globex=1))


async def test_an_upstream_that_no_token_can_be_for_is_refused() -> None:
    nobody_s = UpstreamPool(Upstream("live-acme", ("http://127.0.0.1:1",)))
    with pytest.raises(ValueError, match="has no audience"):
        PlaneConfig(RouteTable.compile([route()]), {"live-acme": nobody_s})

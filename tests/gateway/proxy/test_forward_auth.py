"""Forward auth: the proxy's own decision for others, to nobody but them, about exactly the request that they name."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_network
from uuid import UUID

import jwt
import pytest
from jwt.types import Options

from gateway.proxy.forward_auth import ForwardAuth
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.resource_metadata import Resources
from gateway.settings import HostPort, HostSet
from policies.cross_origin import PageRules
from policies.quota import Quota
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous, SourceIp
from tenants.jose import SigningKey
from tests.gateway.prover import Prover
from tests.gateway.proxy.asking import CLIENT, HTTPS, PROXY, caddy, envoy, nginx, traefik
from tests.gateway.proxy.harness import ALICE, AUDIENCE, HOST, READ, ROUTES, Client, World, polite, request, world

AUDIENCE_ALONE = "https://api.example.com/reports"
ALONE = (
    Route("reports", (HOST,), "/reports/**", READ, "", audience=AUDIENCE_ALONE),
    Route("limited", (HOST,), "/limited/**", READ, "orders", quotas=(Quota("subject", 2, "minute", 2),)),
    Route("both", (HOST,), "/both/**", READ, "orders", quotas=(Quota("subject", 1, "day", 1),), signed_identity=True),
    Route("signed", (HOST,), "/signed/**", READ, "", audience=AUDIENCE_ALONE, signed_identity=True),
    Route("reports-open", (HOST,), "/reports/open", Anonymous(), ""),
    Route("near", (HOST,), "/near/**", SourceIp((ip_network(CLIENT),)), "orders"),
)
YES = {"x-yett-tenant": "acme", "x-yett-subject": "alice", "x-yett-client": "demo-app"}

Asks = Callable[..., Client]
BY_FIELDS: tuple[Asks, ...] = (nginx, traefik, caddy)
ALL: tuple[Asks, ...] = (*BY_FIELDS, envoy)
each = pytest.mark.parametrize("proxy", ALL, ids=lambda proxy: proxy.__name__)
each_that_shows_refusals = pytest.mark.parametrize("proxy", [traefik, caddy, envoy], ids=lambda proxy: proxy.__name__)


class Asked:
    """Forward auth beside the data plane of a world."""

    def __init__(self, of: World) -> None:
        self.world = of
        table = RouteTable.compile((*ROUTES, *ALONE))
        hosts = HostSet.of((HostPort(HOST),))
        audiences: dict[str, str | None] = {"orders": AUDIENCE}
        resources = Resources.of(table.routes, audiences, hosts, lambda _: None)
        of.plane.config = PlaneConfig(table, {"orders": of.pool}, resources)
        self.app = ForwardAuth(
            of.plane,
            peers=(ip_network("10.0.0.0/24"),),
            trusted_proxies=(ip_network("10.1.0.0/16"),),
            api_hosts=hosts,
            observe=of.seen.append,
        )

    async def ask(self, client: Client) -> Client:
        await self.app(client.scope, client.receive, client.send)
        assert client.complete
        return client


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    async with world(polite) as (made, _):
        yield Asked(made)


def identity(client: Client) -> dict[str, str]:
    return {name: value for name, value in client.headers.items() if name.startswith("x-yett-")}


# -- yes and no --------------------------------------------------------------------------------------------------------


@each
async def test_yes_is_200_and_says_who_calls(asked: Asked, proxy: Asks) -> None:
    answer = await asked.ask(proxy())
    assert (answer.status, answer.body) == (200, b"")
    assert identity(answer) == {**YES, "x-yett-scopes": "orders:read orders:write"}
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-request-id"]) == 32
    assert asked.world.seen == []


async def test_a_url_with_the_clients_own_host_in_it_is_no_way_to_ask(asked: Asked) -> None:
    """The ingress controller of Kubernetes writes ``$http_host`` into it, and routes by ``$host``."""
    url = "x-original-url", f"https://{HOST}/orders/7"
    fields = ("x-original-method", "GET"), url, ("x-forwarded-for", CLIENT), HTTPS, ("x-forwarded-host", HOST)
    alone = await asked.ask(request("GET", "/forward-auth", *fields, peer=PROXY))
    assert (alone.status, alone.problem["code"]) == (403, "original_request_unclear")
    assert asked.world.seen[-1].reason == "original_missing"
    assert asked.world.verified == []


@each
async def test_an_anonymous_route_needs_nobody_and_says_nobody(asked: Asked, proxy: Asks) -> None:
    for token in (None, "alice"):
        answer = await asked.ask(proxy("/public/x", token=token))
        assert (answer.status, identity(answer)) == (200, {})


@each
@pytest.mark.parametrize(
    ("uri", "method", "token", "status", "code", "challenge"),
    [
        ("/orders/7", "GET", None, 401, "token_missing", 'Bearer realm="yett"'),
        ("/orders/7", "GET", "nobody", 401, "invalid_token", 'Bearer realm="yett", error="invalid_token"'),
        ("/admin/x", "GET", "admin", 401, "insufficient_user_authentication", "acr_values="),
        ("/admin/x", "GET", "alice", 403, "insufficient_scope", 'error="insufficient_scope", scope="admin"'),
        ("/orders/7", "POST", "reader", 403, "insufficient_scope", 'scope="orders:write"'),
    ],
)
async def test_no_is_what_the_proxy_itself_would_answer(
    asked: Asked, proxy: Asks, uri: str, method: str, token: str | None, status: int, code: str, challenge: str
) -> None:
    asked.world.principals[b"admin"] = replace(ALICE, scopes=frozenset({"admin"}))
    asked.world.principals[b"reader"] = replace(ALICE, scopes=frozenset({"orders:read"}))
    answer = await asked.ask(proxy(uri, method=method, token=token))
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert challenge in answer.headers["www-authenticate"]
    own = await asked.world.ask(request(method, uri, token=token))
    assert own.status == answer.status
    assert own.headers["www-authenticate"] == answer.headers["www-authenticate"]
    assert own.problem.keys() == answer.problem.keys()


OTHER_REFUSALS = [
    ("/nowhere", "GET", 404, "route_not_found"),
    ("/orders/7", "PATCH", 405, "method_not_allowed"),
    ("/orders//7", "GET", 400, "path_not_canonical"),
]


@each_that_shows_refusals
@pytest.mark.parametrize(("uri", "method", "status", "code"), OTHER_REFUSALS)
async def test_other_refusals_are_shown_as_they_are(
    asked: Asked, proxy: Asks, uri: str, method: str, status: int, code: str
) -> None:
    answer = await asked.ask(proxy(uri, method=method))
    assert (answer.status, answer.problem["code"]) == (status, code)
    assert "x-yett-status" not in answer.headers


@pytest.mark.parametrize(("uri", "method", "status", "code"), OTHER_REFUSALS)
async def test_nginx_is_told_403_because_it_takes_all_else_for_a_failure(
    asked: Asked, uri: str, method: str, status: int, code: str
) -> None:
    answer = await asked.ask(nginx(uri, method=method))
    assert (answer.status, answer.headers["x-yett-status"]) == (403, str(status))
    assert answer.problem["code"] == code
    assert asked.world.seen[-1].status == 403


@each
async def test_nobody_passes_while_revocations_are_not_heard(asked: Asked, proxy: Asks) -> None:
    asked.world.fresh = False
    answer = await asked.ask(proxy())
    assert answer.status == (403 if proxy is nginx else 503)
    assert answer.problem["code"] == "revocations_stale"
    assert answer.headers["retry-after"] == "1"


@each
async def test_what_is_asked_and_what_is_passed_on_count_together(asked: Asked, proxy: Asks) -> None:
    first, second = await asked.ask(proxy("/limited/x")), await asked.world.ask(request("GET", "/limited/x"))
    assert (first.status, second.status) == (200, 200)
    assert "ratelimit" in first.headers
    over = await asked.ask(proxy("/limited/x"))
    assert (over.status, over.problem["code"]) == (403 if proxy is nginx else 429, "rate_limited")
    assert over.headers["retry-after"]


@each_that_shows_refusals
async def test_what_nobody_can_vouch_for_at_present_does_not_count(asked: Asked, proxy: Asks) -> None:
    assert [(await asked.ask(proxy("/both/x"))).status for _ in range(3)] == [503, 503, 503]
    asked.world.keys[ALICE.tenant_id] = SigningKey.generate()
    assert [(await asked.ask(proxy("/both/x"))).status for _ in range(2)] == [200, 429]


async def test_a_decision_is_of_the_configuration_of_now(asked: Asked) -> None:
    assert (await asked.ask(traefik())).status == 200
    asked.world.plane.config = PlaneConfig(RouteTable.compile(ROUTES[1:]), {"orders": asked.world.pool})
    assert (await asked.ask(traefik())).status == 405


async def test_what_the_gateway_answers_itself_is_no_yes(asked: Asked) -> None:
    """Resource metadata and preflights are 200 and 204 at the proxy; here that would let the request through."""
    known = await asked.world.ask(request("GET", "/.well-known/oauth-protected-resource/orders", token=None))
    assert known.status == 200
    for proxy in (traefik, caddy, envoy):
        answer = await asked.ask(proxy("/.well-known/oauth-protected-resource/orders", token=None))
        assert answer.status == 404
    config = asked.world.plane.config
    rules = PageRules(frozenset({"https://app.example.com"}))
    table = RouteTable.compile(replace(route, pages=rules) for route in ROUTES)
    asked.world.plane.config = PlaneConfig(table, config.upstreams, config.resources, rules)
    wanted = ("origin", "https://app.example.com"), ("access-control-request-method", "GET")
    assert (await asked.world.ask(request("OPTIONS", "/orders/7", *wanted, token=None))).status == 204
    assert (await asked.ask(traefik("/orders/7", *wanted, method="OPTIONS", token=None))).status == 404


# -- routes that only other proxies pass on ----------------------------------------------------------------------------


async def test_a_route_without_an_upstream_has_an_audience_of_its_own(asked: Asked) -> None:
    answer = await asked.ask(traefik("/reports/7"))
    assert (answer.status, answer.problem["code"]) == (401, "invalid_token")
    assert asked.world.seen[-1].reason == "audience_mismatch"
    assert (
        f'resource_metadata="https://{HOST}/.well-known/oauth-protected-resource/reports"'
        in (answer.headers["www-authenticate"])
    )
    asked.world.principals[b"reports"] = replace(ALICE, audiences=frozenset({AUDIENCE_ALONE}))
    assert (await asked.ask(traefik("/reports/7", token="reports"))).status == 200
    assert (await asked.ask(traefik("/reports/open", token=None))).status == 200


async def test_the_data_plane_does_not_know_where_to_pass_such_a_request(asked: Asked) -> None:
    asked.world.principals[b"reports"] = replace(ALICE, audiences=frozenset({AUDIENCE_ALONE}))
    answer = await asked.world.ask(request("GET", "/reports/7", token="reports"))
    assert (answer.status, answer.problem["code"]) == (404, "route_not_found")
    assert asked.world.seen[-1].reason == "not_forwarded"


async def test_its_metadata_is_served(asked: Asked) -> None:
    answer = await asked.world.ask(request("GET", "/.well-known/oauth-protected-resource/reports", token=None))
    assert answer.status == 200
    assert b'"resource_name":"reports"' in answer.body


@each
async def test_a_caller_is_vouched_for_where_the_route_says_so(asked: Asked, proxy: Asks) -> None:
    asked.world.keys[ALICE.tenant_id] = key = SigningKey.generate()
    asked.world.principals[b"reports"] = replace(ALICE, audiences=frozenset({AUDIENCE_ALONE}))
    for path, token, audience in (("/vouched/x", "alice", AUDIENCE), ("/signed/x", "reports", AUDIENCE_ALONE)):
        answer = await asked.ask(proxy(path, token=token))
        jwk = jwt.PyJWK(key.verifying_key().public_jwk())
        unchecked: Options = {"verify_exp": False, "verify_iat": False}
        said = jwt.decode(
            answer.headers["x-yett-identity"], jwk, algorithms=["ES256"], audience=audience, options=unchecked
        )
        assert (answer.status, said["sub"]) == (200, "alice")


@each
async def test_a_caller_who_cannot_be_vouched_for_does_not_pass(asked: Asked, proxy: Asks) -> None:
    answer = await asked.ask(proxy("/vouched/x"))
    assert (answer.status, answer.problem["code"]) == (403 if proxy is nginx else 503, "identity_unsigned")


# -- who may ask -------------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.1.1", "10.1.0.1", None])
async def test_a_stranger_learns_nothing(asked: Asked, proxy: Asks, peer: str | None) -> None:
    """Not even from a network whose word about addresses is believed."""
    answers = []
    for client in (proxy(), proxy("/orders/7", token=None), request("GET", "/elsewhere", peer=peer)):
        client.scope["client"] = (peer, 4711) if peer else None
        answer = await asked.ask(client)
        answers.append((answer.status, {**answer.problem, "request_id": ""}, sorted(answer.headers)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 404
    assert asked.world.verified == []
    assert asked.world.seen == []


@pytest.mark.parametrize("path", ["/", "/forward-authx", "/forward-auth%2f", "/orders/7", "/x/forward-auth"])
async def test_there_is_nothing_beside_its_path(asked: Asked, path: str) -> None:
    assert (await asked.ask(request("GET", path, peer=PROXY))).status == 404
    assert asked.world.verified == []


async def test_an_address_of_ipv4_in_ipv6_is_that_address(asked: Asked) -> None:
    client = traefik()
    client.scope["client"] = (f"::ffff:{PROXY}", 4711)
    assert (await asked.ask(client)).status == 200


# -- which request it is about -----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("/public/../orders/7", "dot_segment"),
        ("/public/%2e%2e/orders/7", "dot_segment"),
        ("/public//x", "empty_segment"),
        ("/orders%2f7", "encoded_delimiter"),
        ("/public\\x", "backslash"),
        ("/public/;x", "path_parameter"),
        ("/public/\xe9", "raw_non_ascii"),
        ("/public/%zz", "bad_escape"),
    ],
)
async def test_the_path_is_taken_byte_for_byte(asked: Asked, proxy: Asks, uri: str, reason: str) -> None:
    answer = await asked.ask(proxy(uri))
    assert answer.problem["code"] == "path_not_canonical"
    assert asked.world.seen[-1].reason == reason
    assert asked.world.seen[-1].path == uri


@pytest.mark.parametrize("proxy", BY_FIELDS, ids=lambda proxy: proxy.__name__)
async def test_the_query_is_no_part_of_the_path(asked: Asked, proxy: Asks) -> None:
    assert (await asked.ask(proxy("/public/x?y=/../..?z#"))).status == 200
    assert (await asked.ask(proxy("/nowhere?secret=1"))).problem["code"] == "route_not_found"
    assert asked.world.seen[-1].path == "/nowhere"
    assert (await asked.ask(proxy("/public#/x"))).problem["code"] == "path_not_canonical"


async def test_a_path_below_the_prefix_is_a_path_of_its_own(asked: Asked) -> None:
    assert (await asked.ask(envoy("/public/x", query="y=/../"))).status == 200
    for path in ("/", "//orders/7", "//", "/forward-auth", "/forward-auth/orders/7"):
        assert (await asked.ask(envoy(path))).status in (400, 404)


FOREIGN = [
    ("x-original-uri", "/public/x"),
    ("x-original-url", f"https://{HOST}/public/x"),
    ("x-original-method", "GET"),
    ("x-forwarded-uri", "/public/x"),
    ("x-forwarded-method", "GET"),
]


@each
@pytest.mark.parametrize("field", FOREIGN, ids=lambda field: field[0])
async def test_a_client_cannot_name_another_request_beside_the_proxys(
    asked: Asked, proxy: Asks, field: tuple[str, str]
) -> None:
    """Such a field of the client's, which its proxy passed on, comes as a second one or in another way."""
    for uri in ("/orders/7", "/public/x"):
        client = proxy(uri, field)
        answer = await asked.ask(client)
        assert (answer.status, answer.problem["code"]) == (403, "original_request_unclear")
        own = {name for name, _ in client.scope["headers"]}
        assert asked.world.seen[-1].reason in ("original_ambiguous", "original_method"), own
    assert asked.world.verified == []


@pytest.mark.parametrize("proxy", BY_FIELDS, ids=lambda proxy: proxy.__name__)
@pytest.mark.parametrize("name", ["x-forwarded-proto", "x-forwarded-host", "host"])
async def test_a_field_that_is_read_stands_there_once(asked: Asked, proxy: Asks, name: str) -> None:
    reads = {"x-forwarded-proto", "host"} if proxy is nginx else {"x-forwarded-proto", "x-forwarded-host"}
    doubled = proxy("/orders/7", (name, "api.example.com" if name != "x-forwarded-proto" else "https"))
    assert (await asked.ask(doubled)).status == (403 if name in reads else 200)
    missing = proxy()
    missing.scope["headers"] = [field for field in missing.scope["headers"] if field[0] != name.encode()]
    assert (await asked.ask(missing)).status == (403 if name in reads else 200)


@pytest.mark.parametrize(
    ("proxy", "said", "reason"),
    [
        (request, {"path": "/forward-auth", "peer": PROXY}, "original_missing"),
        (traefik, {"method": "TRACE"}, "original_method"),
        (traefik, {"method": "get"}, "original_method"),
        (nginx, {"method": "PROPFIND"}, "original_method"),
        (traefik, {"host": ""}, "original_host"),
        (traefik, {"host": "api.example.com/x"}, "original_host"),
        (traefik, {"host": f"{HOST}, evil"}, "original_host"),
        (traefik, {"host": f"user@{HOST}"}, "original_host"),
        (traefik, {"host": "a" * 30_000}, "original_host"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str | dict) else value.__name__,
)
async def test_a_request_that_is_not_described_exactly_is_refused(
    asked: Asked, proxy: Asks, said: dict[str, str], reason: str
) -> None:
    answer = await asked.ask(proxy(**said))
    assert (answer.status, answer.problem["code"]) == (403, "original_request_unclear")
    assert asked.world.seen[-1].reason == reason
    assert asked.world.verified == []


async def test_only_hosts_of_apis_are_decided_about(asked: Asked) -> None:
    """The edge looks at this for the data plane; a table with routes of any host would answer for every name."""
    anywhere = Route("anywhere", ("*",), "/**", Anonymous(), "")
    asked.world.plane.config = PlaneConfig(RouteTable.compile((anywhere,)), {})
    assert (await asked.ask(traefik("/x", host=f"{HOST.upper()}:8443"))).status == 200
    answer = await asked.ask(traefik("/x", host="auth.example.com"))
    assert (answer.status, asked.world.seen[-1].reason) == (404, "host_unknown")


@each
@pytest.mark.parametrize(
    "name",
    [
        *("x-yett-subject", "x_yett_tenant", "x-yett-identity", "x.yett.scopes", "x-forwarded-user"),
        *("x-http-method-override", "x_http_method_override", "x-rewrite-url", "x-forwarded-email"),
        *("x_original_uri", "x.original.url", "x_original_method", "x-original-host", "x-original-path"),
        *("x_forwarded_for", "x.forwarded.proto", "x_forwarded_host", "x_real_ip", "x_request_id", "proxy_x"),
        *("content_length", "-host", "true.client.ip"),
    ],
)
async def test_a_request_that_would_mislead_the_api_is_not_passed_on(asked: Asked, proxy: Asks, name: str) -> None:
    """The data plane drops such fields; here another proxy would pass them on beside its own."""
    answer = await asked.ask(proxy("/orders/7", (name, "root")))
    assert answer.status == (403 if proxy is nginx else 400)
    assert answer.problem["code"] == "misleading_field"


# -- where it came from ------------------------------------------------------------------------------------------------


@each
async def test_the_client_is_who_the_proxy_says(asked: Asked, proxy: Asks) -> None:
    assert (await asked.ask(proxy("/near/x"))).status == 200
    await asked.ask(proxy("/nowhere"))
    assert asked.world.seen[-1].address == CLIENT


async def test_a_hop_of_a_trusted_proxy_before_the_one_that_asks_counts(asked: Asked) -> None:
    def came_by(hops: str) -> Client:
        client = traefik("/near/x")
        client.scope["headers"] = [
            (name, hops.encode() if name == b"x-forwarded-for" else value) for name, value in client.scope["headers"]
        ]
        return client

    assert (await asked.ask(came_by(f"{CLIENT}, 10.1.0.7"))).status == 200
    assert (await asked.ask(came_by(f"{CLIENT}, 198.51.100.1"))).status == 403


@each
@pytest.mark.parametrize(
    "hops", [None, "", "unknown", f"{CLIENT}, unknown", f"{CLIENT}, ", PROXY, f"{PROXY}, {PROXY}", f"unknown, {PROXY}"]
)
async def test_a_proxy_that_does_not_say_who_asks_is_not_taken_for_the_client(
    asked: Asked, proxy: Asks, hops: str | None
) -> None:
    client = proxy("/public/x", token=None)
    kept = [field for field in client.scope["headers"] if field[0] != b"x-forwarded-for"]
    client.scope["headers"] = kept if hops is None else [*kept, (b"x-forwarded-for", hops.encode())]
    answer = await asked.ask(client)
    assert (answer.status, answer.problem["code"]) == (403, "original_request_unclear")
    assert asked.world.seen[-1].reason == "original_source"


async def test_a_client_beside_the_proxy_is_one(asked: Asked) -> None:
    for peer, hops in ((PROXY, "10.0.0.77"), (PROXY, f"10.0.0.77, {PROXY}"), (PROXY, "10.1.0.7")):
        client = traefik("/public/x", token=None)
        kept = [field for field in client.scope["headers"] if field[0] != b"x-forwarded-for"]
        client.scope["headers"] = [*kept, (b"x-forwarded-for", hops.encode())]
        client.scope["client"] = (peer, 4711)
        assert (await asked.ask(client)).status == 200


# -- DPoP --------------------------------------------------------------------------------------------------------------


@each
async def test_a_proof_is_for_the_request_that_is_asked_about(asked: Asked, proxy: Asks) -> None:
    prover = Prover()
    prover.nonce = asked.world.nonces.current(ALICE.tenant_id)
    asked.world.principals[b"bound"] = replace(ALICE, confirmation=prover.thumbprint)

    async def proved(url: str, method: str = "POST") -> Client:
        proof = prover.prove(method, url, asked.world.time(), "bound")
        fields = ("authorization", "DPoP bound"), ("dpop", proof)
        return await asked.ask(proxy("/orders/7", *fields, method="POST", token=None))

    good = await proved(f"https://{HOST}/orders/7")
    assert (good.status, good.headers["x-yett-subject"]) == (200, "alice")
    assert good.headers["dpop-nonce"]
    for url, method in (
        (f"http://{HOST}/orders/7", "POST"),
        (f"https://{HOST}/forward-auth", "POST"),
        ("https://yett:8082/forward-auth", "POST"),
        (f"https://{HOST}/orders/7", "GET"),
    ):
        bad = await proved(url, method)
        assert (bad.status, bad.problem["code"]) == (401, "invalid_dpop_proof"), url
        assert bad.headers["dpop-nonce"]


# -- what is told ------------------------------------------------------------------------------------------------------


@each
async def test_refusals_and_what_a_route_wants_told_are_observed(asked: Asked, proxy: Asks) -> None:
    await asked.ask(proxy("/passes/x?secret=1" if proxy is not envoy else "/passes/x"))
    await asked.ask(proxy("/orders/7", method="DELETE", token=None))
    allowed, refused = asked.world.seen
    assert (allowed.outcome, allowed.route, allowed.method, allowed.path, allowed.status) == (
        *("allowed", "passes", "GET", "/passes/x", 200),
    )
    assert (allowed.tenant_id, allowed.subject, allowed.address) == (UUID(int=1), "alice", CLIENT)
    assert (refused.outcome, refused.reason, refused.route, refused.method, refused.status) == (
        *("refused", "token_missing", "orders-write", "DELETE", 401),
    )


async def test_the_id_of_the_answer_is_the_observations(asked: Asked) -> None:
    answer = await asked.ask(traefik(token=None))
    assert answer.headers["x-request-id"] == asked.world.seen[-1].request_id == answer.problem["request_id"]

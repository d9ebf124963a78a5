"""``/metrics``: what a scrape reads, in both formats, with no more series than the product has names, and no secret."""

from collections.abc import Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics.page import metrics_router
from gateway.web import application
from tests.gateway.asgi import calling
from tests.gateway.proxy.harness import polite, request
from tests.gateway.proxy.harness import world as proxied
from tests.gateway.world import World

_OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def values(text: str) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(world: World) -> str:
    async with world.client(app=world.service.management, base_url="http://10.42.0.17:8081") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return answer.text


async def test_a_login_and_a_refusal_are_counted(world: World) -> None:
    await world.login()
    assert (await world.post(world.acme.form(password="wrong"))).status_code == 400
    await world.events()
    found = values(await scrape(world))
    assert found["yett_identity_requests_total", (("endpoint", "token"), ("status", "200"))] == 1
    assert found["yett_identity_requests_total", (("endpoint", "token"), ("status", "400"))] == 1
    assert found["yett_identity_seconds_count", (("endpoint", "token"),)] == 2
    assert found["yett_audit_events_total", (("outcome", "success"), ("type", "login.succeeded"))] == 1
    assert found["yett_audit_events_total", (("outcome", "refused"), ("type", "login.refused"))] == 1
    assert found["yett_tenants", ()] == 3
    assert found["yett_ready", (("check", "hashing"),)] == 1
    assert found["yett_hashing_waiting", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 0


async def test_paths_tenants_and_people_make_no_series(world: World) -> None:
    await world.login()
    before = len(values(await scrape(world)))
    async with world.client() as client:
        for number in range(20):
            await client.get(f"/t/acme/made-up-{number}")
            await client.get(f"/t/no-such-{number}/login")
            await client.get(f"/other/{number}")
    text = await scrape(world)
    assert len(values(text)) - before < 60  # two endpoints with their buckets, and discovery of none
    for name in ("acme", "globex", "alice", "made-up", "no-such"):
        assert name not in text


async def test_requests_to_apis_are_counted_by_route_and_reason() -> None:
    async with proxied(polite) as (made, _):
        assert (await made.ask(request())).status == 200
        assert (await made.ask(request(token=None))).status == 401
        assert (await made.ask(request(path="/nowhere"))).status == 404
        async with calling(application(metrics_router(lambda: list(made.plane.meter.read())))) as client:
            found = values((await client.get("/metrics")).text)
            exposed = (await client.get("/metrics", headers=_OPEN_METRICS)).text
    assert found["yett_proxy_requests_total", (("route", "orders-read"), ("status", "2xx"))] == 1
    assert found["yett_proxy_requests_total", (("route", "orders-read"), ("status", "4xx"))] == 1
    assert found["yett_proxy_requests_total", (("route", ""), ("status", "4xx"))] == 1
    assert found["yett_proxy_refusals_total", (("reason", "token_missing"),)] == 1
    assert found["yett_proxy_decision_seconds_count", ()] == 3
    assert found["yett_proxy_response_seconds_count", (("upstream", "orders"),)] == 1
    examples = [
        sample.exemplar for family in open_metrics(exposed) for sample in family.samples if sample.exemplar is not None
    ]
    assert [len(example.labels["trace_id"]) for example in examples] == [32]


async def test_the_trace_of_an_example_is_the_clients_where_it_has_one() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with proxied(polite) as (made, _):
        sent = ("traceparent", f"00-{trace}-b7ad6b7169203331-01")
        assert (await made.ask(request("GET", "/orders/7", sent))).status == 200
        async with calling(application(metrics_router(lambda: list(made.plane.meter.read())))) as client:
            exposed = (await client.get("/metrics", headers=_OPEN_METRICS)).text
    assert f'trace_id="{trace}"' in exposed


async def test_an_accept_that_names_no_version_is_answered_in_the_usual_format() -> None:
    async with calling(application(metrics_router(list))) as client:
        for said in ("application/openmetrics-text; version=abc", "text/plain; version=", "*/*;q=x", "\x80"):
            answer = await client.get("/metrics", headers={"Accept": said.encode("latin-1")})
            assert answer.status_code == 200, said

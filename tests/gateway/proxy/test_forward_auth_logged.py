"""What other proxies ask is in the access log like the proxy's own requests, and is decided again like them."""

import json
from typing import Any

from gateway.proxy.access_line import line
from gateway.proxy.access_log import AccessLog, Share
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.replay import Replay
from policies.cross_origin import PageRules
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Scopes
from tests.gateway.proxy.asking import nginx, traefik
from tests.gateway.proxy.harness import ALICE, HOST, ROUTES, Client, polite, request, world
from tests.gateway.proxy.test_access_log import rehearsed
from tests.gateway.proxy.test_forward_auth import ALONE, Asked

RULES = PageRules(frozenset({"https://app.test"}))
SHADOW = Route("trial", (HOST,), "/trial", Scopes(frozenset({"never"})), "orders", shadow=True, pages=RULES)
OTHER_ORIGIN = ("origin", "https://app.test"), ("access-control-request-method", "POST")
QUESTIONS: tuple[tuple[Client, dict[str, Any]], ...] = (
    (traefik("/orders/7?code=s3cr3t"), {"decision": "allow", "status": 200, "token": "valid", "path": "/orders/7"}),
    (traefik("/reports/7"), {"decision": "challenge", "reason": "audience_mismatch", "route": "reports"}),
    (traefik("/orders/7", token=None), {"decision": "challenge", "status": 401, "token": "none"}),
    (nginx("/nowhere"), {"decision": "refuse", "reason": "route_not_found", "status": 403}),
    (nginx("/trial"), {"decision": "allow", "would": {"decision": "deny", "reason": "insufficient_scope"}}),
    (traefik("/orders/7", method="OPTIONS", token=None), {"decision": "refuse", "method": "OPTIONS"}),
    (traefik("/trial", *OTHER_ORIGIN, method="OPTIONS"), {"decision": "refuse", "reason": "reserved_path"}),
    (traefik("/x", host="other.test"), {"decision": "refuse", "reason": "host_unknown", "status": 404}),
    (traefik("/orders/7", ("x_yett_subject", "root")), {"decision": "refuse", "reason": "misleading_field"}),
    (
        request("GET", "/forward-auth", ("x-forwarded-for", "192.0.2.7"), peer="10.0.0.9"),
        {"decision": "deny", "reason": "original_missing", "path": "/forward-auth"},
    ),
)


def logged(asked: Asked, sample: float = 1.0) -> list[bytes]:
    raws: list[bytes] = []
    made, share = asked.world, Share.of(sample, refusals=False)
    log = AccessLog(lambda record: raws.append(line(record)), digest="d", claims=(), share=share, of_routes={})
    table = RouteTable.compile((*ROUTES, *ALONE, SHADOW))
    made.plane.config = PlaneConfig(table, {"orders": made.pool}, pages=RULES, digest="d", access_log=log)
    return raws


async def test_each_question_has_a_line_with_its_facts_and_is_decided_again_as_it_was() -> None:
    async with world(polite) as (made, _):
        asked = Asked(made)
        raws = logged(asked)
        for client, _ in QUESTIONS:
            await asked.ask(client)
        again = rehearsed(made, *made.plane.config.table.routes)
        again.config = made.plane.config
        replay = Replay(again, again, "d")
        for raw in raws:
            replay.take(raw)
    lines = [json.loads(raw) for raw in raws]
    for found, (_, expected) in zip(lines, QUESTIONS, strict=True):
        assert found["forward_auth"] is True
        assert {name: found[name] for name in expected} == expected
        assert not {"upstream", "bytes_in"} & set(found)
    assert lines[0]["subject"] == ALICE.subject
    assert b"s3cr3t" not in b"".join(raws)
    assert (replay.outcome.decided, replay.outcome.otherwise, replay.outcome.changed) == (len(QUESTIONS), 0, 0)
    assert not replay.outcome.partial


async def test_nobody_who_may_not_ask_is_in_it_and_shares_hold() -> None:
    async with world(polite) as (made, _):
        asked = Asked(made)
        raws = logged(asked, 0.0)
        await asked.ask(request("GET", "/forward-auth", peer="203.0.113.9"))
        for client in (traefik("/orders/7"), traefik("/trial"), traefik("/orders/7", token=None)):
            await asked.ask(client)
    assert [(found["decision"], "would" in found) for found in map(json.loads, raws)] == [
        ("allow", True),
        ("challenge", False),
    ]

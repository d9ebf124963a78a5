"""What the API says of a request is what ``yett policy explain`` says, and who may see no users asks about none."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.admin.policy import TokenFacts
from gateway.rehearsing.facts import Caller, request_facts, source, with_principal
from gateway.rehearsing.gate import rehearsal
from gateway.rehearsing.words import as_fields, as_tree
from policies.administration import INSTALLATION_READ, USERS_READ
from tests.gateway.admin.conftest import Furnished
from tests.gateway.admin.house import House, moved_in
from tests.gateway.conftest import OpenWorld
from tests.gateway.world import ORDERS

EXPLAIN = "/v1/tenants/acme/policy/explain"


URL = "https://api.example.com/orders/7"
ROUTES: list[dict[str, Any]] = [
    {
        "name": "orders",
        "match": {"path": "/orders/**", "methods": ["GET"]},
        "require": {"scopes": ["orders:read"]},
        "upstream": "orders",
    }
]
UPSTREAMS = {"orders": {"targets": ["http://127.0.0.1:9"], "audience": ORDERS}}


@pytest_asyncio.fixture(loop_scope="session")
async def routed(open_world: OpenWorld, furnished: Furnished) -> AsyncIterator[House]:
    """A house in front of an API."""
    seeded_file, people = furnished
    configured = {"api_hosts": ["api.example.com"], "routes": ROUTES, "upstreams": UPSTREAMS}
    async with open_world(seeded_file=seeded_file, **configured) as world:
        yield await moved_in(world, people)


@pytest.mark.parametrize("scopes", [[], ["orders:read"], ["orders:read", "orders:write"]])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_the_decision_is_the_command_lines(routed: House, method: str, scopes: list[str]) -> None:
    settings, url = routed.world.installation.settings, URL
    at = routed.world.clock().timestamp()
    gate = rehearsal(settings)
    caller = Caller(tenant="acme", scopes=tuple(scopes)).principal(at, gate.audiences)
    found, rule = gate.explain(with_principal(request_facts(method, url, address=source(None), at=at), caller))
    async with routed.client(await routed.operator("auditor")) as client:
        answer = await client.post(EXPLAIN, {"method": method, "url": url, "token": {"scopes": scopes}})
    told = answer.json()
    assert answer.status_code == 200, answer.text
    assert {name: told[name] for name in as_fields(found)} == as_fields(found)
    assert told["rule"] == (None if rule is None else json.loads(json.dumps(as_tree(rule))))
    assert told["digest"] == settings.digest


async def test_cases_that_are_decided_otherwise_are_told(routed: House) -> None:
    case = {"name": "reads", "method": "GET", "url": URL, "token": {"scopes": ["orders:read"]}}
    cases = [
        {**case, "expect": "allow", "route": "orders"},
        {**case, "name": "may not", "token": {}, "expect": "allow"},
        {**case, "name": "for another reason", "token": {}, "expect": "deny", "reason": "no_reason"},
    ]
    async with routed.client(await routed.operator("auditor")) as client:
        answer = await client.post("/v1/tenants/acme/policy/test", {"cases": cases})
    told = answer.json()
    assert (answer.status_code, told["cases"]) == (200, 3)
    assert [(each["name"], each["failed"]) for each in told["failed"]] == [
        ("may not", ["decision: expected allow, found deny"]),
        ("for another reason", ["reason: expected no_reason, found insufficient_scope"]),
    ]


async def test_a_user_has_the_scopes_of_their_roles_until_disabled(each_house: House) -> None:
    alice, url = each_house.world.acme.users["alice"], URL
    async with each_house.world.installation.store.for_tenant(each_house.acme.id) as store:
        scopes = sorted(await store.roles.scopes_of(alice))
    async with each_house.client(await each_house.operator("auditor")) as client:
        of_user = await client.post(EXPLAIN, {"method": "GET", "url": url, "user_id": str(alice)})
        facts = {"subject": str(alice), "scopes": scopes}
        of_facts = await client.post(EXPLAIN, {"method": "GET", "url": url, "token": facts})
        assert of_user.json() == of_facts.json()
        unknown = await client.post(EXPLAIN, {"method": "GET", "url": url, "user_id": str(each_house.acme.id)})
        assert unknown.status_code == 404
    async with each_house.client(await each_house.operator(scopes=frozenset({INSTALLATION_READ}))) as client:
        refused = await client.post(EXPLAIN, {"method": "GET", "url": url, "user_id": str(alice)})
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        assert USERS_READ in refused.text


WRONG: list[dict[str, Any]] = [
    {"method": "get"},
    {"url": "/orders"},
    {"url": "https://api.example.com/a b"},
    {"url": "https://somebody@api.example.com/"},
    {"url": "https://[::1/"},
    {"url": "https://api.example.com/" + "a" * 5000},
    {"source_ip": "nowhere"},
    {"at": "2026-11-30T12:00:00"},
    {"at": "9999-01-01T00:00:00Z"},
    {"at": "1960-01-01T00:00:00Z"},
    {"token": {"scopes": ["a"] * 201}},
    {"token": {"api_key": True, "acr": "x"}},
    {"token": {"access_token": "eyJ"}},
    {"token": "eyJhbGciOiJub25lIn0.e30."},
    {"user_id": "nobody"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
async def test_what_is_no_question_is_refused_and_not_repeated(house: House, wrong: dict[str, Any]) -> None:
    async with house.client(await house.operator("owner")) as client:
        answer = await client.post(EXPLAIN, {"method": "GET", "url": URL, **wrong})
        assert answer.status_code == 422, answer.text
        assert "eyJ" not in answer.text


def test_there_is_no_place_for_a_token() -> None:
    assert not {name for name in TokenFacts.model_fields if "token" in name or "secret" in name}

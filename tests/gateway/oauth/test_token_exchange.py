"""Token exchange (RFC 8693): a service narrows a person's token for the next API, and says that it acts."""

import asyncio
from typing import Any

import pytest

from gateway.authn.bearer import InvalidToken
from tests.gateway.oauth.authorizing import change_options
from tests.gateway.oauth.presenting import (
    ACCESS_TOKEN,
    ALL_SCOPES,
    ELSEWHERE,
    as_web,
    at_the_proxy,
    exchange,
    introspect,
    later,
    service,
)
from tests.gateway.world import INVOICES, ORDERS, World

CARRIED = ("iss", "sub", "sid", "auth_time", "acr", "amr")


async def subject(world: World, **changes: str | None) -> str:
    """Alice's token by the public client, for the API of orders."""
    return str((await world.login(**{"scope": "orders:read orders:write", **changes}))["access_token"])


async def refusal(world: World) -> dict[str, Any]:
    """The last refusal that was told."""
    return [event for event in await world.events() if event["type"] == "token.refused"][-1]


async def test_a_token_for_another_api_that_says_who_acts_rfc8693_2_2_1(world: World) -> None:
    token = await subject(world)
    await later(world, minutes=2)
    answer = await exchange(world, token)

    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")
    before, after = world.claims(token), world.claims(body["access_token"])
    assert {name: after[name] for name in CARRIED} == {name: before[name] for name in CARRIED}
    assert (after["aud"], after["client_id"], after["act"]) == (INVOICES, "web", {"sub": "web"})
    assert after["scope"] == "orders:read orders:write"
    assert after["jti"] != before["jti"]


async def test_it_is_the_same_on_each_database(each_world: World) -> None:
    token = await subject(each_world)
    answers = await asyncio.gather(*(exchange(each_world, token) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({each_world.claims(answer.json()["access_token"])["jti"] for answer in answers}) == 20
    assert len([event for event in await each_world.events() if event["type"] == "token.exchanged"]) == 20


async def test_it_never_outlives_the_token_it_was_made_of(world: World) -> None:
    token = await subject(world)
    await later(world, minutes=4, seconds=59.5)
    body = (await exchange(world, token)).json()

    assert body["expires_in"] == 1
    assert world.claims(body["access_token"])["exp"] == world.claims(token)["exp"]


async def test_a_clients_own_token_is_exchanged_too(world: World) -> None:
    by = await service(world, "caller", audiences=(ORDERS,), default_scopes=frozenset({"orders:read"}))
    token = (await world.post({"grant_type": "client_credentials"}, headers=by)).json()["access_token"]
    claims = world.claims((await exchange(world, token)).json()["access_token"])

    assert (claims["sub"], claims["act"], claims["scope"]) == ("caller", {"sub": "web"}, "orders:read")
    assert not {"sid", "auth_time", "acr", "amr"} & set(claims)


async def test_who_acted_before_stays_in_the_chain_rfc8693_4_1(world: World) -> None:
    by = await service(world, audiences=(INVOICES, ELSEWHERE))
    first = (await exchange(world, await subject(world))).json()["access_token"]
    second = (await exchange(world, first, by=by, audience=ELSEWHERE)).json()["access_token"]

    assert world.claims(second)["act"] == {"sub": "ledger", "act": {"sub": "web"}}
    assert (await introspect(world, second, by=by)).json()["act"] == {"sub": "ledger", "act": {"sub": "web"}}


async def test_the_chain_of_actors_ends(world: World) -> None:
    token = await subject(world)
    for _ in range(4):
        token = (await exchange(world, token)).json()["access_token"]
    answer = await exchange(world, token)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await refusal(world))["reason"] == "actor_chain_too_long"


async def test_it_is_one_event_that_names_both_clients(world: World) -> None:
    token = await subject(world)
    await exchange(world, token, scope="orders:read")

    event = (await world.events())[-1]
    assert (event["type"], event["outcome"], event["client_id"]) == ("token.exchanged", "success", "web")
    assert (event["subject"], event["user_name"]) == (str(world.acme.users["alice"]), "alice")
    assert event["session_id"] == world.claims(token)["sid"]
    assert event["details"] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "actor": "web",
        "from_client": "spa",
        "audiences": [INVOICES],
        "scopes": ["orders:read"],
    }


# -- for which API


@pytest.mark.parametrize(
    ("targets", "audience"),
    [
        ({"audience": INVOICES}, INVOICES),
        ({"audience": None, "resource": INVOICES}, INVOICES),
        ({"audience": INVOICES, "resource": INVOICES}, INVOICES),
        ({"audience": None, "resource": [INVOICES, ORDERS]}, [INVOICES, ORDERS]),
        ({"audience": [INVOICES, ORDERS]}, [INVOICES, ORDERS]),
        ({"audience": None}, ORDERS),
    ],
)
async def test_audience_and_resource_name_the_apis_rfc8693_2_1(
    world: World, targets: dict[str, Any], audience: str | list[str]
) -> None:
    body = (await exchange(world, await subject(world), **targets)).json()

    assert world.claims(body["access_token"])["aud"] == audience


@pytest.mark.parametrize("targets", [{"audience": ELSEWHERE}, {"audience": [INVOICES, "x"]}, {"resource": ELSEWHERE}])
async def test_an_api_that_the_client_may_not_ask_for_is_invalid_target(world: World, targets: dict[str, Any]) -> None:
    answer = await exchange(world, await subject(world), **targets)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert (await refusal(world))["reason"] == "resource_not_allowed"


# -- how much


async def test_a_narrower_scope_is_given(world: World) -> None:
    assert (await exchange(world, await subject(world), scope="orders:read")).json()["scope"] == "orders:read"


@pytest.mark.parametrize("scope", ["orders:read orders:write", "admin", "openid", 'orders:"read'])
async def test_a_wider_scope_is_invalid_scope(world: World, scope: str) -> None:
    answer = await exchange(world, await subject(world, scope="orders:read"), scope=scope)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert (await refusal(world))["reason"] == "scope_not_granted"


async def test_what_the_client_may_not_have_it_is_not_given(world: World) -> None:
    by = await service(world, audiences=(ORDERS, INVOICES), scopes=frozenset({"orders:read"}))
    token = await subject(world)

    assert (await exchange(world, token, by=by)).json()["scope"] == "orders:read"
    assert (await exchange(world, token, by=by, scope="orders:write")).json()["error"] == "invalid_scope"


async def test_what_was_taken_from_the_user_since_is_not_given(world: World) -> None:
    token = await subject(world)
    async with world.store() as store:
        await store.roles.withdraw(world.acme.users["alice"], "writer")
        await store.roles.assign(world.acme.users["alice"], "reader")

    assert (await exchange(world, token)).json()["scope"] == "orders:read"
    assert (await exchange(world, token, scope="orders:write")).json()["error"] == "invalid_scope"


async def test_no_refresh_token_and_no_id_token_whatever_is_asked(world: World) -> None:
    by = await service(world, "portal", audiences=(ORDERS, INVOICES), grant_types=_PORTAL)
    form = {**world.acme.form(client_id=None, scope="orders:read openid offline_access"), "resource": INVOICES}
    token = (await world.post(form, headers=by)).json()["access_token"]
    body = (await exchange(world, token, by=by)).json()

    assert body["scope"] == "openid orders:read"
    assert not {"refresh_token", "id_token"} & set(body)


_PORTAL = frozenset({"password", "urn:ietf:params:oauth:grant-type:token-exchange"})


async def test_a_client_of_others_takes_its_own_token_to_no_api_that_nobody_agreed_to(world: World) -> None:
    by = await service(world, "portal", audiences=(ORDERS, INVOICES), grant_types=_PORTAL)
    token = (await world.post(world.acme.form(client_id=None, scope="orders:read"), headers=by)).json()["access_token"]
    refused = await exchange(world, token, by=by, audience=INVOICES)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert (await exchange(world, token, by=by, audience=ORDERS)).status_code == 200
    by_default = await exchange(world, token, by=by, audience=None)
    assert world.claims(by_default.json()["access_token"])["aud"] == ORDERS
    await change_options(world, "portal", first_party=True)
    assert (await exchange(world, token, by=by, audience=INVOICES)).status_code == 200
    reasons = [event["reason"] for event in await world.events() if event["type"] == "token.refused"]
    assert reasons == ["resource_not_granted"]


async def test_a_step_up_since_is_not_lent_to_an_older_token(world: World) -> None:
    token = await subject(world)
    async with world.store() as store:
        (session,) = await store.sessions.of_user(world.acme.users["alice"])
    await later(world, minutes=1)
    async with world.store() as store:
        await store.sessions.renew(session, acr="urn:yett:acr:mfa", amr={"pwd", "otp", "mfa"})
    before, after = world.claims(token), world.claims((await exchange(world, token)).json()["access_token"])

    assert {name: after[name] for name in CARRIED} == {name: before[name] for name in CARRIED}


# -- the form


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": None},
        {"subject_token": ""},
        {"subject_token_type": None},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"actor_token": "x"},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "x", "actor_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"actor_token": "x", "actor_token_type": ACCESS_TOKEN},
        {"subject_token": ["x", "y"]},
    ],
)
async def test_what_is_not_exchanged_here_is_invalid_request_rfc8693_2_2_2(
    world: World, changes: dict[str, Any]
) -> None:
    form = {"subject_token": await subject(world), **changes}
    answer = await exchange(world, form.pop("subject_token"), **form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_type_may_be_asked_for_by_its_name(world: World) -> None:
    assert (await exchange(world, await subject(world), requested_token_type=ACCESS_TOKEN)).status_code == 200


# -- who may


async def test_a_client_that_does_not_carry_it_is_unauthorized_client(world: World) -> None:
    by = await service(world, grant_types=frozenset({"client_credentials"}), audiences=(ORDERS, INVOICES))
    answer = await exchange(world, await subject(world), by=by)

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_a_client_without_its_proof_is_invalid_client(world: World) -> None:
    answer = await exchange(world, await subject(world), by={"Authorization": "Basic d2ViOng="})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_token_that_was_neither_issued_to_the_client_nor_for_its_api_is_refused(world: World) -> None:
    by = await service(world, audiences=(INVOICES,))
    answer = await exchange(world, await subject(world), by=by)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    event = await refusal(world)
    assert (event["reason"], event["client_id"]) == ("subject_token_foreign", "ledger")


async def test_a_token_that_was_issued_to_the_client_is_its_own_to_narrow(world: World) -> None:
    by = await service(world, "portal", audiences=(INVOICES,), grant_types=_PORTAL, scopes=ALL_SCOPES)
    form = world.acme.form(client_id=None, scope="orders:read orders:write")
    token = (await world.post(form, headers=by)).json()["access_token"]

    assert (await exchange(world, token, by=by, scope="orders:read")).json()["scope"] == "orders:read"


async def test_ending_the_session_ends_what_was_exchanged_by_it(world: World) -> None:
    token = (await exchange(world, await subject(world))).json()["access_token"]
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])

    refused = at_the_proxy(world, token)
    assert isinstance(refused, InvalidToken)
    assert refused.reason == "token_revoked"


async def test_another_tenants_client_gets_nothing_for_it_x01(world: World) -> None:
    answer = await exchange(world, await subject(world), by=as_web(world.globex), to="globex")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    (event,) = await world.events(world.globex)
    assert (event["type"], event["reason"]) == ("token.refused", "subject_tenant_mismatch")

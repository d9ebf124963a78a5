"""DPoP at the token endpoint (RFC 9449 sections 5, 8): what gets bound, to whose key, and what a proof is worth."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.app import compose
from gateway.breach import Breaches
from gateway.place import Places
from gateway.proxy.pools import Pools
from policies.dpop import ALGORITHMS
from tenants.api_key_uses import ApiKeyUses
from tests.gateway.conftest import OpenWorld
from tests.gateway.prover import Prover
from tests.gateway.world import World


async def proved(
    world: World, prover: Prover, form: dict[str, Any], *, to: str = "acme", **changes: Any
) -> httpx.Response:
    """One call with a proof."""
    options = {name: changes.pop(name) for name in ("app", "auth") if name in changes}
    headers = {"DPoP": proof_of(world, prover, **changes)}
    answer = await world.post(form, to=to, headers=headers, **options)
    prover.nonce = answer.headers.get("DPoP-Nonce", prover.nonce)
    return answer


def proof_of(world: World, prover: Prover, **changes: Any) -> str:
    return prover.prove("POST", f"{world.acme.issuer}/token", world.clock.now.timestamp(), **changes)


async def ready(world: World, alg: str = "ES256") -> Prover:
    """A client that has been given a nonce."""
    prover = Prover(alg)
    answer = await proved(world, prover, world.acme.form())
    assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")
    return prover


async def reasons(world: World) -> list[str]:
    """Why tokens were refused, in alphabetical order: what is observed is written apart from what is told of."""
    return sorted(event["reason"] for event in await world.events() if event["type"] == "token.refused")


async def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def refresh_form(token: str, **changes: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token, "client_id": "spa", **changes}


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_login_with_a_proof_gets_a_token_that_is_bound_to_its_key(world: World, alg: str) -> None:
    prover = await ready(world, alg)
    answer = await proved(world, prover, world.acme.form())
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    assert world.claims(answer.json()["access_token"])["cnf"] == {"jkt": prover.thumbprint}
    assert answer.headers["DPoP-Nonce"] == prover.nonce
    assert answer.headers["Cache-Control"] == "no-store"
    told = [event for event in await world.events() if event["type"] == "login.succeeded"]
    assert [event["details"]["dpop_jkt"] for event in told] == [prover.thumbprint]


async def test_without_a_proof_nothing_is_bound(world: World) -> None:
    answer = await world.post(world.acme.form())
    assert answer.json()["token_type"] == "Bearer"
    assert "cnf" not in world.claims(answer.json()["access_token"])
    assert "DPoP-Nonce" not in answer.headers


async def test_a_service_gets_a_bound_token_too(world: World) -> None:
    prover = await ready(world)
    form = {"grant_type": "client_credentials", "scope": "orders:read"}
    answer = await proved(world, prover, form, auth=("web", world.acme.secret))
    assert answer.json()["token_type"] == "DPoP"
    assert world.claims(answer.json()["access_token"])["cnf"] == {"jkt": prover.thumbprint}


async def test_a_proof_without_a_nonce_is_answered_with_one(world: World) -> None:
    prover = Prover()
    answer = await proved(world, prover, world.acme.form())
    assert await refused(answer) == (400, "use_dpop_nonce")
    assert prover.nonce
    assert (await proved(world, prover, world.acme.form())).status_code == 200
    assert await reasons(world) == ["dpop_nonce_wanted"]


async def test_a_nonce_that_is_over_is_answered_with_another(world: World) -> None:
    prover = await ready(world)
    old = prover.nonce
    world.clock.advance(seconds=120)
    assert (await proved(world, prover, world.acme.form())).status_code == 200
    assert prover.nonce != old
    prover.nonce = old
    world.clock.advance(seconds=120)
    assert await refused(await proved(world, prover, world.acme.form())) == (400, "use_dpop_nonce")
    assert (await proved(world, prover, world.acme.form())).status_code == 200


async def test_another_process_takes_the_nonce_of_the_first(world: World) -> None:
    prover = await ready(world)
    settings = world.installation.settings
    uses = ApiKeyUses(world.installation.database)
    parts: Any = (None, Pools(), Breaches.of(settings), Places(settings.geoip_database), uses, world.fitness)
    other = compose(world.installation, world.snapshot, world.recorder, *parts).public
    form = {"grant_type": "client_credentials"}
    answer = await proved(world, prover, form, app=other, auth=("web", world.acme.secret))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"htm": "GET"}, "dpop_method"),
        ({"htu": "http://localhost:8080/t/globex/token"}, "dpop_url"),
        ({"htu": "https://evil.example/t/acme/token"}, "dpop_url"),
        ({"iat": 1}, "dpop_too_old"),
        ({"iat": 99_999_999_999}, "dpop_too_early"),
        ({"jti": None}, "dpop_claims"),
    ],
)
async def test_a_proof_of_something_else_is_refused_before_a_password_is_tried(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    prover = await ready(world)
    assert await refused(await proved(world, prover, world.acme.form(), **changes)) == (400, "invalid_dpop_proof")
    events = await world.events()
    assert [(event["type"], event["reason"]) for event in events][-1] == ("token.refused", reason)
    assert not [event for event in events if event["type"].startswith("login.")]


async def test_the_host_that_a_caller_writes_is_not_the_address_that_is_proved(world: World) -> None:
    prover = await ready(world)
    evil = prover.prove("POST", "http://evil.example/t/acme/token", world.clock.now.timestamp())
    headers = {"DPoP": evil, "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    assert await refused(await world.post(world.acme.form(), headers=headers)) == (400, "invalid_dpop_proof")


async def test_two_proofs_are_none(world: World) -> None:
    prover = await ready(world)
    headers = [("DPoP", proof_of(world, prover)), ("DPoP", proof_of(world, prover))]
    assert await refused(await world.post(world.acme.form(), headers=headers)) == (400, "invalid_dpop_proof")


async def test_a_proof_is_used_once(world: World) -> None:
    prover = await ready(world)
    assert (await proved(world, prover, world.acme.form(), jti="once")).status_code == 200
    assert await refused(await proved(world, prover, world.acme.form(), jti="once")) == (400, "invalid_dpop_proof")
    assert (await world.events())[-1]["reason"] == "dpop_replayed"


async def test_twenty_parallel_uses_of_one_proof_have_one_winner(each_world: World) -> None:
    world = each_world
    prover = await ready(world)
    headers = {"DPoP": proof_of(world, prover)}
    form = {"grant_type": "client_credentials"}
    calls = [world.post(form, headers=headers, auth=("web", world.acme.secret)) for _ in range(20)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19


async def test_a_proof_of_another_tenant_is_none_here(world: World) -> None:
    prover = await ready(world)
    answer = await proved(world, prover, world.globex.form(), to="globex")
    assert await refused(answer) == (400, "invalid_dpop_proof")
    at_globex = prover.prove("POST", f"{world.globex.issuer}/token", world.clock.now.timestamp(), nonce="of-acme")
    answer = await world.post(world.globex.form(), to="globex", headers={"DPoP": at_globex})
    assert await refused(answer) == (400, "use_dpop_nonce")


async def test_who_is_no_client_is_told_that_and_not_of_proofs(world: World) -> None:
    prover = Prover()
    answer = await proved(world, prover, world.acme.form(client_id="nobody"))
    assert await refused(answer) == (401, "invalid_client")


async def test_a_client_that_is_registered_to_bind_needs_a_proof_for_every_grant(world: World) -> None:
    async with world.store() as store:
        for client_id in ("spa", "web"):
            client = await store.clients.get(client_id)
            assert client is not None
            options = replace(client.options, dpop_bound_access_tokens=True)
            await store.clients.replace(replace(client, options=options))
    assert await refused(await world.post(world.acme.form())) == (400, "invalid_dpop_proof")
    answer = await world.post({"grant_type": "client_credentials"}, auth=("web", world.acme.secret))
    assert await refused(answer) == (400, "invalid_dpop_proof")
    assert {event["reason"] for event in await world.events()} == {"dpop_proof_missing"}

    prover = await ready(world)
    login = await proved(world, prover, world.acme.form())
    assert login.status_code == 200
    assert await refused(await world.refresh(login.json()["refresh_token"])) == (400, "invalid_dpop_proof")


# --- refresh tokens


async def test_a_public_client_s_refresh_token_is_good_for_who_holds_its_key_only(each_world: World) -> None:
    world = each_world
    prover = await ready(world)
    token = (await proved(world, prover, world.acme.form())).json()["refresh_token"]

    assert await refused(await world.refresh(token)) == (400, "invalid_dpop_proof")
    thief = Prover()
    thief.nonce = prover.nonce
    assert await refused(await proved(world, thief, refresh_form(token))) == (400, "invalid_grant")

    answer = await proved(world, prover, refresh_form(token))  # the theft has not ended the family
    assert answer.status_code == 200, answer.text
    assert world.claims(answer.json()["access_token"])["cnf"] == {"jkt": prover.thumbprint}
    successor = answer.json()["refresh_token"]
    assert await refused(await proved(world, thief, refresh_form(successor))) == (400, "invalid_grant")
    assert (await proved(world, prover, refresh_form(successor))).status_code == 200
    assert await reasons(world) == ["dpop_key_mismatch"] * 2 + ["dpop_nonce_wanted", "dpop_proof_missing"]


async def test_a_lost_answer_is_given_again_to_who_holds_the_key_only(world: World) -> None:
    prover = await ready(world)
    token = (await proved(world, prover, world.acme.form())).json()["refresh_token"]
    first = await proved(world, prover, refresh_form(token))
    thief = Prover()
    thief.nonce = prover.nonce
    assert await refused(await proved(world, thief, refresh_form(token))) == (400, "invalid_grant")
    again = await proved(world, prover, refresh_form(token))
    assert again.json()["refresh_token"] == first.json()["refresh_token"]


async def test_a_refresh_token_that_was_not_bound_never_is_and_a_thief_s_key_hides_no_theft(each_world: World) -> None:
    world = each_world
    stolen = (await world.login())["refresh_token"]
    thief = await ready(world)
    answer = await proved(world, thief, refresh_form(stolen))
    assert answer.json()["token_type"] == "DPoP", "the access token is bound"
    world.clock.advance(seconds=11)
    reused = await world.refresh(stolen)  # its owner, who has no key
    assert await refused(reused) == (400, "invalid_grant")
    assert "refresh_token_reused" in await reasons(world)
    again = await proved(world, thief, refresh_form(answer.json()["refresh_token"]))
    assert await refused(again) == (400, "invalid_grant")


async def test_who_refreshes_an_unbound_token_with_a_key_may_go_on_without(world: World) -> None:
    prover = await ready(world)
    answer = await proved(world, prover, refresh_form((await world.login())["refresh_token"]))
    assert world.claims(answer.json()["access_token"])["cnf"] == {"jkt": prover.thumbprint}
    assert (await world.refresh(answer.json()["refresh_token"])).json()["token_type"] == "Bearer"


async def test_a_confidential_client_s_refresh_token_is_bound_to_the_client_and_its_keys_may_change(
    world: World,
) -> None:
    prover = await ready(world)
    auth = ("web", world.acme.secret)
    login = await proved(world, prover, world.acme.form(client_id=None, scope="orders:read"), auth=auth)
    token = login.json()["refresh_token"]
    other = Prover()
    other.nonce = prover.nonce
    form = {"grant_type": "refresh_token", "refresh_token": token}
    answer = await proved(world, other, form, auth=auth)
    assert world.claims(answer.json()["access_token"])["cnf"] == {"jkt": other.thumbprint}
    unbound = await world.post({**form, "refresh_token": answer.json()["refresh_token"]}, auth=auth)
    assert unbound.json()["token_type"] == "Bearer"


async def test_a_browser_may_read_the_nonce(open_world: OpenWorld) -> None:
    async with open_world() as world:
        headers = {"Origin": "https://app.acme.test", "DPoP": proof_of(world, Prover())}
        answer = await world.post(world.acme.form(), headers=headers)
        assert "DPoP-Nonce" in answer.headers["Access-Control-Expose-Headers"]
        async with world.client() as client:
            asked = {"Origin": "https://app.acme.test", "Access-Control-Request-Method": "POST"}
            preflight = await client.options("/t/acme/token", headers=asked)
        assert "DPoP" in preflight.headers["Access-Control-Allow-Headers"]

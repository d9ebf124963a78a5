"""Who acts in a token that was exchanged (RFC 8693 section 4.1), and whose key it needs (RFC 9449)."""

import httpx

from tests.gateway.oauth.presenting import ACCESS_TOKEN, as_web, exchange, introspect, later
from tests.gateway.prover import Prover
from tests.gateway.world import World


async def subject(world: World, **changes: str | None) -> str:
    """Alice's token by the public client, for the API of orders."""
    return str((await world.login(**{"scope": "orders:read orders:write", **changes}))["access_token"])


async def refusal(world: World) -> str:
    """Why the last one was refused."""
    return str([event for event in await world.events() if event["type"] == "token.refused"][-1]["reason"])


async def by_web(world: World, **changes: str | None) -> str:
    """Bob's token by the confidential client itself."""
    form = {"username": "bob", "client_id": None, "scope": "orders:read", **changes}
    return str((await world.post(world.acme.form(**form), headers=as_web(world.acme))).json()["access_token"])


async def test_an_actor_s_token_that_another_client_got_is_refused(world: World) -> None:
    actor = await subject(world, username="bob", scope="orders:read")
    answer = await exchange(world, await subject(world), actor_token=actor, actor_token_type=ACCESS_TOKEN)
    assert answer.json()["error"] == "invalid_request"
    assert await refusal(world) == "actor_token_foreign"


async def test_whose_token_the_actor_token_is_acts_rfc8693_1_1(world: World) -> None:
    actor = await by_web(world)
    body = (await exchange(world, await subject(world), actor_token=actor, actor_token_type=ACCESS_TOKEN)).json()

    claims = world.claims(body["access_token"])
    assert (claims["sub"], claims["act"]) == (
        str(world.acme.users["alice"]),
        {"sub": str(world.acme.users["bob"])},
    )


async def test_it_does_not_outlive_the_actors_token_either(world: World) -> None:
    actor = await by_web(world)
    await later(world, minutes=1)
    body = (await exchange(world, await subject(world), actor_token=actor, actor_token_type=ACCESS_TOKEN)).json()

    assert world.claims(body["access_token"])["exp"] == world.claims(actor)["exp"]


async def test_an_actor_that_is_acted_for_itself_is_refused(world: World) -> None:
    actor = (await exchange(world, await subject(world, username="bob", scope="orders:read"))).json()["access_token"]
    answer = await exchange(world, await subject(world), actor_token=actor, actor_token_type=ACCESS_TOKEN)

    assert answer.json()["error"] == "invalid_request"
    assert await refusal(world) == "actor_token_delegated"


# -- a key


async def bound(world: World, prover: Prover) -> str:
    """Alice's token, bound to this key."""
    for _ in range(2):  # the first answer brings the nonce
        answer = await world.post(world.acme.form(), headers=proof(world, prover))
        prover.nonce = answer.headers["DPoP-Nonce"]
    return str(answer.json()["access_token"])


def proof(world: World, prover: Prover) -> dict[str, str]:
    return {"DPoP": prover.prove("POST", f"{world.acme.issuer}/token", world.clock.now.timestamp())}


async def proved(world: World, token: str, prover: Prover, **changes: str) -> httpx.Response:
    """An exchange with a proof by this key."""
    for _ in range(2):
        answer = await exchange(world, token, headers=proof(world, prover), **changes)
        prover.nonce = answer.headers.get("DPoP-Nonce", prover.nonce)
        if answer.json().get("error") != "use_dpop_nonce":
            break
    return answer


async def test_a_bound_token_is_exchanged_by_who_holds_its_key_only_rfc9449(world: World) -> None:
    prover, thief = Prover(), Prover()
    token = await bound(world, prover)

    for refused in (await exchange(world, token), await proved(world, token, thief)):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert [event.get("reason") for event in await world.events()].count("token_bound_to_another_key") == 2
    body = (await proved(world, token, prover)).json()
    assert body["token_type"] == "DPoP"
    assert world.claims(body["access_token"])["cnf"] == {"jkt": prover.thumbprint}


async def test_an_actors_bound_token_needs_its_key_too(world: World) -> None:
    prover = Prover()
    for _ in range(2):  # the first answer brings the nonce
        headers = as_web(world.acme) | proof(world, prover)
        answer = await world.post(world.acme.form(username="bob", client_id=None, scope="orders:read"), headers=headers)
        prover.nonce = answer.headers["DPoP-Nonce"]
    actor = str(answer.json()["access_token"])
    acting = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}

    assert (await exchange(world, await subject(world), **acting)).json()["error"] == "invalid_dpop_proof"
    assert (await proved(world, await subject(world), prover, **acting)).status_code == 200


async def test_a_client_may_bind_what_it_gets_to_a_key_of_its_own(world: World) -> None:
    prover = Prover()
    body = (await proved(world, await subject(world), prover)).json()

    assert world.claims(body["access_token"])["cnf"] == {"jkt": prover.thumbprint}


async def test_what_a_token_is_bound_to_is_shown_rfc9449_6_2(world: World) -> None:
    prover = Prover()
    body = (await introspect(world, await bound(world, prover), by=as_web(world.acme))).json()

    assert (body["token_type"], body["cnf"]) == ("DPoP", {"jkt": prover.thumbprint})

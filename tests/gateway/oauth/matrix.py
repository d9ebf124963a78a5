"""The rows of the matrix in test_matrix.py: the grants, and what comes about in another way with one of them.

Owns that. Not what a client holds (holding.py), what goes wrong with all alike (mishaps.py), nor what is expected.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from gateway.oauth.grants.mfa_otp import GRANT_TYPE as MFA_OTP
from tenants.client import DEVICE_CODE, TOKEN_EXCHANGE
from tests.gateway.browser import Browser
from tests.gateway.oauth import holding, signing_client
from tests.gateway.oauth.authorizing import WEB_CALLBACK
from tests.gateway.oauth.mishaps import Held, Mishap, disabled_user, ledger, revoked
from tests.gateway.world import INVOICES, World
from tests.signer import Signer


@dataclass(frozen=True)
class Row:
    """``then`` is what a second use earns: nothing, the same successor for a lost answer, or tokens like the first.
    ``own`` are mishaps that come about in another way than elsewhere.
    """

    grant_type: str
    hold: Callable[[World], Awaitable[Held]]
    then: Literal["nothing", "the same successor", "as before"] = "nothing"
    own: Mapping[str, Mishap] = field(default_factory=dict)


async def _redirect_uri_not_registered(world: World, held: Held) -> httpx.Response:
    return await holding.push(world, redirect_uri=f"{WEB_CALLBACK}/")


async def _scope_of_nobody(world: World, held: Held) -> httpx.Response:
    return await holding.push(world, scope="unheard-of")


async def _pushed_by_a_stranger(world: World, held: Held) -> httpx.Response:
    return await holding.push(world, proof={"client_id": "web", "client_secret": world.globex.secret})


def _of_its_code(mishap: Mishap) -> Mishap:
    """It happens while the client has the code: before that, there is no user in it, and nothing is granted."""

    async def happens(world: World, held: Held) -> httpx.Response:
        async with Browser(world) as browser:
            await browser.log_in()
            query = urlencode({"client_id": "web", "request_uri": (await holding.push(world)).json()["request_uri"]})
            answer = await browser.get(f"/authorize?{query}")
        (found,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        return await mishap(world, holding.code_held(world, found))

    return happens


async def _spent_after_the_grace(world: World, held: Held) -> httpx.Response:
    assert (await held.use()).status_code == 200
    world.clock.advance(seconds=11)
    return await held.use()


async def _named_otherwise(world: World, held: Held) -> httpx.Response:
    await ledger(world)
    return await held.use(client_id="ledger")


async def _sent_elsewhere(world: World, held: Held) -> httpx.Response:
    return await held.use(to="globex")


async def _asks_for_nothing_it_has(world: World, held: Held) -> httpx.Response:
    return await held.use(scope="unheard-of")


async def _signed_by_a_stranger(world: World, held: Held) -> httpx.Response:
    return await held.use(proof=signing_client.proof(world, signer=Signer(name="stranger")))


async def _without_the_grant(world: World, held: Held) -> httpx.Response:
    return await held.use(proof=await ledger(world, grant_types=frozenset({"authorization_code"})))


async def _asks_for_nothing_that_alice_has(world: World, held: Held) -> httpx.Response:
    return await held.use(scope="admin")


async def _of_another_api(world: World, held: Held) -> httpx.Response:
    """Neither was it issued to this client, nor is it for the API that the client stands for."""
    return await held.use(proof=await ledger(world, audiences=(INVOICES,)))


ROWS: Mapping[str, Row] = {
    "authorization_code": Row("authorization_code", holding.authorization_code),
    "authorization_code by PAR": Row(
        "authorization_code",
        holding.pushed_request,
        own={
            "wrong redirect URI": _redirect_uri_not_registered,
            "wider scope": _scope_of_nobody,
            "revoked": _of_its_code(revoked),
            "disabled user": _of_its_code(disabled_user),
            "wrong client authentication": _pushed_by_a_stranger,
        },
    ),
    "refresh_token": Row(
        "refresh_token",
        holding.refresh_token,
        then="the same successor",
        own={"replayed": _spent_after_the_grace, "other client": _of_another_api},
    ),
    "client_credentials": Row(
        "client_credentials",
        holding.client_secret,
        then="as before",
        own={
            "other client": _named_otherwise,
            "other tenant": _sent_elsewhere,
            "wider scope": _asks_for_nothing_it_has,
        },
    ),
    "client_credentials by private_key_jwt": Row(
        "client_credentials",
        holding.client_assertion,
        own={
            "other client": _named_otherwise,
            "other tenant": _sent_elsewhere,
            "wider scope": _asks_for_nothing_it_has,
            "wrong client authentication": _signed_by_a_stranger,
        },
    ),
    "device_code": Row(DEVICE_CODE, holding.device_code),
    "password": Row(
        "password",
        holding.password,
        then="as before",
        own={"other client": _without_the_grant, "wider scope": _asks_for_nothing_that_alice_has},
    ),
    "mfa-otp": Row(MFA_OTP, holding.mfa_token),
    "token_exchange": Row(
        TOKEN_EXCHANGE, holding.subject_token, then="as before", own={"other client": _of_another_api}
    ),
}

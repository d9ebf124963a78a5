"""What comes back to an issuer and is none of its tokens, or no longer: at ``/introspect``, ``/revoke``, exchange.

One matrix over all places that take an access token, then what a stranger can make of a string.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.login.people import change_people
from tests.gateway.oauth.presenting import ACCESS_TOKEN, as_web, call, exchange, introspect, later, revoke, service
from tests.gateway.world import INVOICES, World

# -- why a token does not count


async def revoked(world: World, token: str) -> None:
    await revoke(world, token)
    await world.snapshot.poll()


async def expired(world: World, token: str) -> None:
    await later(world, minutes=5)


async def disabled_user(world: World, token: str) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)


async def disabled_client(world: World, token: str) -> None:
    async with world.store() as store:
        await store.clients.set_active("spa", False)


async def ended_session(world: World, token: str) -> None:
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])


CHANGES = [revoked, expired, disabled_user, disabled_client, ended_session]
Change = Callable[[World, str], Awaitable[None]]


async def exchanged_as_actor(world: World, token: str, *, subject: str | None = None, **more: Any) -> httpx.Response:
    """Bob's token, for which the given one acts."""
    if subject is None:
        subject = (await world.login(username="bob"))["access_token"]
    return await exchange(world, subject, actor_token=token, actor_token_type=ACCESS_TOKEN, **more)


def is_refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def last_reason(world: World) -> str:
    return str([event for event in await world.events() if event["type"] == "token.refused"][-1]["reason"])


@pytest.mark.parametrize("change", CHANGES)
async def test_what_does_not_count_is_neither_shown_nor_exchanged(world: World, change: Change) -> None:
    token = (await world.login())["access_token"]
    await change(world, token)

    assert (await introspect(world, token)).json() == {"active": False}
    assert is_refused(await exchange(world, token))
    assert await last_reason(world) == ("subject_token_expired" if change is expired else "subject_token_revoked")


@pytest.mark.parametrize("change", [change for change in CHANGES if change is not disabled_client])
async def test_what_does_not_count_acts_for_nobody(world: World, change: Change) -> None:
    token = (await world.login())["access_token"]
    await change(world, token)

    assert is_refused(await exchanged_as_actor(world, token))


@pytest.mark.parametrize("change", CHANGES)
async def test_what_does_not_count_is_answered_like_what_was_revoked(world: World, change: Change) -> None:
    token = (await world.login())["access_token"]
    await change(world, token)
    answer = await revoke(world, token)

    assert answer.status_code == (401 if change is disabled_client else 200)
    assert len([event for event in await world.events() if event["type"] == "token.revoked"]) == (change is revoked)


@pytest.mark.parametrize("what", ["session", "user"])
async def test_an_exchange_asks_the_database_and_not_only_what_was_heard(world: World, what: str) -> None:
    """The feed is up to a second behind, and a token that was made meanwhile must not live for minutes."""
    token = (await world.login())["access_token"]
    async with world.installation.store.for_tenant(world.acme.id) as store:  # and nobody polls
        if what == "session":
            await store.sessions.end_all(world.acme.users["alice"])
        else:
            await store.users.set_active(world.acme.users["alice"], False)
    answer = await exchange(world, token)

    assert is_refused(answer)
    assert await last_reason(world) == "session_ended"


async def test_an_exchange_asks_for_the_factor_that_is_due_by_now(world: World) -> None:
    token = (await world.login())["access_token"]
    await change_people(world, otp="required")

    assert is_refused(await exchange(world, token))
    assert await last_reason(world) == "factor_missing"
    assert is_refused(await exchanged_as_actor(world, token, subject=token))


async def test_another_tenants_token_is_nothing_here_x01(world: World) -> None:
    foreign = (await world.post(world.globex.form(), to="globex")).json()

    for token in (foreign["access_token"], foreign["refresh_token"]):
        assert (await introspect(world, token)).json() == {"active": False}
        assert (await revoke(world, token)).status_code == 200
        assert is_refused(await exchange(world, token))
        assert is_refused(await exchanged_as_actor(world, token))
    assert (await world.refresh(foreign["refresh_token"], to="globex")).status_code == 200


async def test_a_token_that_names_this_issuer_but_is_signed_by_another_tenant_is_nothing_x01(world: World) -> None:
    claims = world.claims((await world.login())["access_token"])
    async with world.store(world.globex) as store:
        forged = (await store.keys.signing()).sign("at+jwt", claims)

    assert (await introspect(world, forged)).json() == {"active": False}
    assert is_refused(await exchange(world, forged))


async def test_a_suspended_tenants_tokens_are_nothing_anywhere_x03(world: World) -> None:
    token = (await world.login())["access_token"]
    async with world.store() as store:
        await store.settings.set_active(False)

    assert (await exchange(world, token)).status_code == 404
    assert is_refused(await exchange(world, token, by=as_web(world.globex), to="globex"))


async def test_another_client_gets_nothing_of_it(world: World) -> None:
    token = (await world.login())["access_token"]
    by = await service(world, audiences=(INVOICES,))

    assert (await introspect(world, token, by=by)).json() == {"active": False}
    assert is_refused(await exchange(world, token, by=by))
    assert is_refused(await exchanged_as_actor(world, token, by=by))


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "yett-id+jwt", "token-introspection+jwt", "dpop+jwt", "", "jwt"])
async def test_what_the_tenant_signed_as_something_else_is_no_access_token_k03(world: World, typ: str) -> None:
    claims = world.claims((await world.login())["access_token"])
    async with world.store() as store:
        other = (await store.keys.signing()).sign(typ, claims)

    assert (await introspect(world, other)).json() == {"active": False}
    assert (await revoke(world, other)).status_code == 200
    assert is_refused(await exchange(world, other))
    assert is_refused(await exchanged_as_actor(world, other))


async def test_a_refresh_token_is_exchanged_for_nothing_k03(world: World) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)

    assert is_refused(await exchange(world, login["refresh_token"]))
    form = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
    assert (await world.post(form, headers=as_web(world.acme))).status_code == 200


# -- what a stranger can make of a string

UNLIKE: dict[str, Callable[[str], str]] = {
    "truncated": lambda token: token[:-1],
    "padded": lambda token: token + " ",
    "padded_in_base64": lambda token: token + "=",
    "upper": lambda token: token.upper(),
    "lower": lambda token: token.lower(),
    "prefix": lambda token: "y" + token,
    "another_prefix": lambda token: token.replace("yrt_", "yac_") if "yrt_" in token else "yrt_" + token,
    "twice": lambda token: token + token,
    "line": lambda token: token + "\n",
}


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("change", UNLIKE)
async def test_only_the_whole_string_is_the_token_k01(world: World, change: str, kind: str) -> None:
    login = await world.login(client_id="web", client_secret=world.acme.secret)
    unlike = UNLIKE[change](login[kind])

    assert (await introspect(world, unlike)).json() == {"active": False}
    assert (await call(world, "revoke", {"token": unlike}, headers=as_web(world.acme))).status_code == 200
    assert is_refused(await exchange(world, unlike))
    assert (await introspect(world, login[kind])).json()["active"]


_TEXT = st.text(max_size=80).filter(lambda text: "\0" not in text)
_GARBAGE = st.one_of(
    _TEXT,
    _TEXT.map(lambda text: "yrt_" + text),
    st.lists(st.text(alphabet="AZaz09-_=", max_size=12), min_size=2, max_size=4).map(".".join),
    st.sampled_from(["eyJhbGciOiJub25lIn0.e30.", "..", "a.b.c", "yrt_", "ycs_x", "\ufeff", "💥" * 20, "x" * 20_000]),
)
_BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_BOUNDED
@given(garbage=_GARBAGE, hint=_TEXT)
async def test_any_string_as_a_token(world: World, garbage: str, hint: str) -> None:
    asked = [await introspect(world, garbage, form={"token_type_hint": hint}), await revoke(world, garbage)]
    traded = await exchange(world, garbage, requested_token_type=hint or None)

    assert [answer.status_code for answer in asked] == ([200, 200] if garbage else [400, 400])
    assert asked[0].json() == {"active": False} or not garbage
    assert is_refused(traded)


@_BOUNDED
@given(fields=st.dictionaries(_TEXT, _TEXT, max_size=6), path=st.sampled_from(["introspect", "revoke", "token"]))
async def test_any_form(world: World, fields: dict[str, str], path: str) -> None:
    answer = await call(world, path, fields, headers=as_web(world.acme))

    assert answer.status_code in (200, 400, 401)

"""What is good once is good once (rule 7): twenty parallel redemptions of each kind, one winner, on both databases.

Kinds that have a place of their own are tested there; ``ELSEWHERE`` says where.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, get_args

import httpx
import pytest

from gateway.oauth.grants.mfa_otp import GRANT_TYPE
from tenants import mail_links, seen_ids
from tenants.tables import metadata
from tests.gateway.browser import Browser, letters, link_in
from tests.gateway.login.people import change_people, code, enrol, recovery_codes, shown_secret
from tests.gateway.oauth import (
    test_authorization_code,
    test_authorize_pushed,
    test_consent,
    test_device_code_attacks,
    test_dpop,
    test_private_key_jwt,
    test_registered_client,
    test_registration,
    test_request_object,
)
from tests.gateway.world import PUBLIC_URL, World

PARALLEL = 20
NEW_PASSWORD = "seven green bottles on the wall"


async def at_once(post: Callable[[], Awaitable[httpx.Response]], times: int = PARALLEL) -> list[httpx.Response]:
    answers = list(await asyncio.gather(*(post() for _ in range(times))))
    assert not [answer.status_code for answer in answers if answer.status_code >= 500], (
        "nobody waits for anybody in vain"
    )
    return answers


async def of_a_form(browser: Browser, **fields: str) -> list[httpx.Response]:
    """Send the form of the page twenty times at once, from this browser as it is now."""
    form, cookies = browser.forms[0], dict(browser.client.cookies)
    path, data = browser.path, {**form.fields, **fields}

    async def post() -> httpx.Response:
        async with browser.world.client(address=browser.address, cookies=cookies) as client:
            return await client.post(path, data=data, headers={"Origin": PUBLIC_URL})

    return await at_once(post)


def into_the_account(answers: list[httpx.Response]) -> int:
    return sum("yett-acme-session=yss_" in answer.headers.get("set-cookie", "") for answer in answers)


async def refresh_token(world: World) -> int:
    """One successor, however many ask: within the grace all get the same one, and one chain goes on from it."""
    token = (await world.login())["refresh_token"]
    answers = await at_once(lambda: world.refresh(token), times=50)
    assert all(answer.status_code == 200 for answer in answers)
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert [(await world.refresh(successor)).status_code for successor in successors] == [200]
    return len(successors)


async def mfa_token(world: World) -> int:
    secret = await enrol(world)
    token = (await world.post(world.acme.form())).json()["mfa_token"]
    form = {"grant_type": GRANT_TYPE, "client_id": "spa", "mfa_token": token, "otp": code(world, secret)}
    answers = await at_once(lambda: world.post(form))
    return sum(answer.status_code == 200 for answer in answers)


async def recovery_code_at_the_api(world: World) -> int:
    """Twenty logins wait, each with a token of its own, and all bring the same code."""
    await enrol(world)
    (one, *_) = await recovery_codes(world)
    tokens = [(await world.post(world.acme.form())).json()["mfa_token"] for _ in range(PARALLEL)]
    form = {"grant_type": GRANT_TYPE, "client_id": "spa", "recovery_code": one}
    answers = await asyncio.gather(*(world.post({**form, "mfa_token": token}) for token in tokens))
    return sum(answer.status_code == 200 for answer in answers)


async def code_at_the_page(world: World) -> int:
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        return into_the_account(await of_a_form(browser, otp=code(world, secret)))


async def recovery_code_at_the_page(world: World) -> int:
    await enrol(world)
    (one, *_) = await recovery_codes(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/login/recovery")
        return into_the_account(await of_a_form(browser, recovery_code=one))


async def reset_link(world: World) -> int:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        await store.mail_outbox.add("reset", {"identifier": "alice"})
    await world.deliver()
    async with Browser(world) as browser:
        await browser.get(link_in(letters(world)[-1]))
        answers = await of_a_form(browser, password=NEW_PASSWORD)
    return sum(answer.status_code == 303 for answer in answers)


async def sign_up_link(world: World) -> int:
    await change_people(world, sign_up=True)
    async with Browser(world) as browser:
        await browser.get("/signup")
        await browser.submit(email="new@acme.test")
        await world.deliver()
        await browser.get(link_in(letters(world)[-1]))
        return into_the_account(await of_a_form(browser, name="newcomer", password=NEW_PASSWORD))


async def verification_link(world: World) -> int:
    async with world.store() as store:
        user_id = str(world.acme.users["alice"])
        fields = {"user_id": user_id, "email": "alice@acme.test", "asked_as": "", "password_version": "1"}
        await store.mail_outbox.add("verify", fields)
    await world.deliver()
    async with Browser(world) as browser:
        await browser.get(link_in(letters(world)[-1]))
        answers = await of_a_form(browser)
    return sum("confirmed" in answer.text for answer in answers)


async def invitation(world: World) -> int:
    async with world.store() as store:
        fields = {"email": "new@acme.test", "name": "newcomer", "roles": "reader", "invited_by": "alice"}
        await store.mail_outbox.add("invite", fields)
    await world.deliver()
    async with Browser(world) as browser:
        await browser.get(link_in(letters(world)[-1]))
        return into_the_account(await of_a_form(browser, password=NEW_PASSWORD))


async def enrolment(world: World) -> int:
    """A login that waits for its enrolment is completed by one of twenty requests."""
    await change_people(world, otp="required")
    async with Browser(world) as browser:
        await browser.log_in()
        secret = shown_secret(browser)
        return into_the_account(await of_a_form(browser, otp=code(world, secret)))


KINDS = (
    refresh_token,
    mfa_token,
    recovery_code_at_the_api,
    code_at_the_page,
    recovery_code_at_the_page,
    reset_link,
    sign_up_link,
    verification_link,
    invitation,
    enrolment,
)

ELSEWHERE: Mapping[str, Callable[..., Any]] = {
    "authorization code": test_authorization_code.test_t01_of_twenty_parallel_redemptions_one_wins,
    "pushed request": test_authorize_pushed.test_of_twenty_browsers_at_once_one_gets_a_code,
    "request that waits for an answer": test_consent.test_of_twenty_answers_at_once_one_is_a_code,
    "device code": test_device_code_attacks.test_of_twenty_parallel_redemptions_one_wins,
    "assertion": test_private_key_jwt.test_of_twenty_at_once_one_counts_t13,
    "dpop": test_dpop.test_twenty_parallel_uses_of_one_proof_have_one_winner,
    "request_object": test_request_object.test_an_object_counts_once,
    "initial access token": test_registration.test_of_20_registrations_at_once_with_a_one_use_token_one_succeeds,
    "registration access token": test_registered_client.test_of_20_changes_at_once_one_is_made,
}

TABLES: Mapping[str, tuple[str, ...]] = {
    "refresh_tokens": ("refresh_token",),
    "logins": ("mfa_token", "code_at_the_page", "enrolment"),
    "recovery_codes": ("recovery_code_at_the_api", "recovery_code_at_the_page"),
    "mail_links": ("reset_link", "sign_up_link", "verification_link", "invitation"),
    "authorization_codes": ("authorization code",),
    "authorization_requests": ("pushed request",),
    "begun_requests": ("request that waits for an answer",),
    "device_codes": ("device code",),
}
"""Where it is written down that something was used, and what is kept there."""


def test_whatever_can_be_used_up_is_tried() -> None:
    tried = {kind.__name__ for kind in KINDS} | ELSEWHERE.keys()
    assert TABLES.keys() == {name for name, table in metadata.tables.items() if "consumed_at" in table.c}
    assert tried >= {kind for kinds in TABLES.values() for kind in kinds}
    assert tried >= set(get_args(seen_ids.Kind))
    assert len(TABLES["mail_links"]) == len(get_args(mail_links.Purpose))


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_what_is_tried_elsewhere_is_tried_on_both_databases(kind: str) -> None:
    assert "each_world" in inspect.signature(ELSEWHERE[kind]).parameters


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_twenty_parallel_redemptions_have_one_winner(
    each_world: World, kind: Callable[[World], Awaitable[int]]
) -> None:
    assert await kind(each_world) == 1

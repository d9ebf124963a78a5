"""Another address counts once somebody who reads its mail says so; until then nothing has changed."""

import pytest

from tests.gateway.account.house import events_of, logged_in, text_of, waiting_letters
from tests.gateway.browser import Browser
from tests.gateway.conftest import OpenWorld
from tests.gateway.world import World

NEW = "alice@acme.test"


async def ask(browser: Browser, email: str) -> int:
    await browser.get("/account/email")
    return (await browser.submit(email=email)).status_code


async def test_a_letter_goes_to_the_new_address_and_nothing_changes(world: World) -> None:
    alice = world.acme.users["alice"]
    async with logged_in(world) as browser:
        assert await ask(browser, f" {NEW} ") == 200
        assert NEW in text_of(browser)
    asked = {"user_id": str(alice), "email": NEW, "password_version": "1", "asked_as": ""}
    assert ("verify", asked) in await waiting_letters(world)
    async with world.store() as store:
        user = await store.users.get(alice)
        assert user is not None
        assert (user.email, user.email_verified) == (None, False)
    (event,) = await events_of(world, "user.email_asked")
    assert event["subject"] == str(alice)
    assert NEW not in str(event)


async def test_an_address_of_somebody_else_is_answered_alike(world: World) -> None:
    """Who has it is not told to whoever asks; the mailbox's owner is."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["bob"], "bob@acme.test", verified=True)
    async with logged_in(world) as browser:
        answers = []
        for email in ("bob@acme.test", "new@acme.test"):
            await ask(browser, email)
            answers.append(text_of(browser).replace(email, "…"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "email",
    ["", "alice", "alice@", "a@b@c", "alice@acme.test\r\nBcc: x@evil.test", "é@acme.test", "a" * 300 + "@a.test"],
)
async def test_what_is_no_address_gets_no_letter(world: World, email: str) -> None:
    async with logged_in(world) as browser:
        assert await ask(browser, email) == 422
        assert browser.error()
    assert "verify" not in [kind for kind, _ in await waiting_letters(world)]


async def test_ones_own_address_is_not_asked_for_again(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], NEW, verified=True)
    async with logged_in(world) as browser:
        assert await ask(browser, NEW.upper()) == 422
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], NEW, verified=False)
    async with logged_in(world) as browser:
        assert await ask(browser, NEW) == 200


async def test_letters_are_counted_by_the_user(world: World) -> None:
    async with logged_in(world) as browser, logged_in(world, "bob") as other:
        answers = [await ask(browser, f"alice{number}@acme.test") for number in range(5)]
        assert answers[:3] == [200, 200, 200]
        assert answers[-1] == 429
        assert int(browser.page.headers["retry-after"]) > 0
        assert await ask(other, "bob@acme.test") == 200
    assert [kind for kind, _ in await waiting_letters(world)].count("verify") == answers.count(200) + 1


async def test_without_mail_there_is_no_such_page(open_world: OpenWorld) -> None:
    async with open_world(mail={}) as world, logged_in(world) as browser:
        assert "/account/email" not in browser.page.text
        assert (await browser.get("/account/email")).status_code == 404

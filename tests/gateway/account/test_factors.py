"""Authenticators: the first changes what the account is, the last goes only where the account is safe without it."""

import asyncio
from uuid import UUID

import pytest

from tests.gateway.account.house import (
    events_of,
    factor_ids,
    has_session,
    logged_in,
    names_of,
    sessions_of,
    stands_alone,
    text_of,
    token_of,
    waiting_letters,
)
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol, recovery_codes, shown_secret
from tests.gateway.world import PUBLIC_URL, World

STEP = 30


async def add(browser: Browser, world: World, name: str = "My phone") -> str:
    """Set one up through the page; its secret."""
    await browser.get("/account/factors/new")
    secret = shown_secret(browser)
    await browser.submit(otp=code(world, secret), name=name)
    world.clock.advance(seconds=STEP)
    return secret


async def remove(browser: Browser, factor: UUID) -> int:
    at = f"/account/factors/{factor}/remove"
    await browser.get(at)
    if not browser.forms:
        return browser.page.status_code
    return (await browser.submit(to=browser.base + at)).status_code


# -- the first, and more -----------------------------------------------------------------------------------------------


async def test_the_first_factor_makes_codes_and_ends_the_others(each_world: World) -> None:
    world = each_world
    tokens = await world.login()
    async with logged_in(world) as mine, logged_in(world) as other:
        before = mine.cookie("session")
        secret = await add(mine, world)
        assert mine.page.status_code == 200
        codes = [word for word in text_of(mine).split() if word.count("-") == 3]
        assert len(codes) == 10
        assert mine.cookie("session") not in (None, before)
        assert await has_session(mine)
        assert not await has_session(other)
        assert (await world.refresh(tokens["refresh_token"])).status_code == 400
        await other.log_in()
        await other.get("/login/recovery")
        await other.submit(recovery_code=codes[0])
        assert other.at == "/account"
    async with logged_in(world, secret=secret):
        pass
    (event,) = await events_of(world, "factor.added")
    assert event["details"]["way"] == "account"
    assert ("factor_added", {"user_id": str(world.acme.users["alice"])}) in await waiting_letters(world)


async def test_the_session_that_added_the_first_is_one_with_a_factor(world: World) -> None:
    async with logged_in(world) as browser:
        await add(browser, world)
        (session,) = await sessions_of(world)
        async with world.store() as store:
            found = await store.sessions.get(session)
        assert found is not None
        assert (found.acr, found.amr) == ("urn:yett:acr:mfa", {"pwd", "otp", "mfa"})
        await browser.get("/account/recovery-codes")
        assert browser.at == "/account/recovery-codes"


async def test_another_factor_leaves_codes_and_sessions_alone(world: World) -> None:
    secret = await enrol(world)
    await recovery_codes(world)
    async with logged_in(world, secret=secret) as mine, logged_in(world, secret=secret) as other:
        await add(mine, world, "Tablet")
        assert mine.at == "/account"
        assert "Tablet" in text_of(mine)
        assert await has_session(other)
    async with world.store() as store:
        assert await store.recovery_codes.left(world.acme.users["alice"]) == 10
    assert await names_of(world) == ["Phone", "Tablet"]
    assert len(await events_of(world, "factor.added")) == 1
    assert [kind for kind, _ in await waiting_letters(world)].count("factor_added") == 1


async def test_a_wrong_code_adds_nothing(world: World) -> None:
    async with logged_in(world) as browser:
        await browser.get("/account/factors/new")
        secret = shown_secret(browser)
        wrong = "000000" if code(world, secret) != "000000" else "111111"
        for typed in (wrong, "", "12345", "abcdef", "9" * 500):
            await browser.submit(otp=typed)
            assert browser.page.status_code == 400
            assert "or another code was used in the last half minute" in browser.error()
            assert shown_secret(browser) == secret
    assert await names_of(world) == []
    assert await events_of(world, "factor.added") == []


async def test_the_code_of_the_enrolment_is_no_login_code(world: World) -> None:
    async with logged_in(world) as browser, Browser(world) as other:
        await browser.get("/account/factors/new")
        secret = shown_secret(browser)
        await browser.submit(otp=code(world, secret))
        await other.log_in()
        await other.submit(otp=code(world, secret))
        assert other.page.status_code == 400


@pytest.mark.parametrize("name", ["a" * 101, "two\nlines", "bell \x07"])
async def test_a_name_that_cannot_be_shown_is_refused(world: World, name: str) -> None:
    async with logged_in(world) as browser:
        await browser.get("/account/factors/new")
        await browser.submit(otp=code(world, shown_secret(browser)), name=name)
        assert browser.page.status_code == 422
        await browser.submit(otp=code(world, shown_secret(browser)), name="  ")
        assert browser.page.status_code == 200
    assert await names_of(world) == ["Authenticator"]


async def test_an_enrolment_of_somebody_else_cannot_be_confirmed(world: World) -> None:
    async with world.store() as store:
        bobs = await store.factors.enrol(world.acme.users["bob"], name="Phone", issuer_name="acme", account="bob")
    async with logged_in(world) as browser:
        await browser.get("/account/factors/new")
        await browser.submit(factor=str(bobs.factor_id), otp=code(world, bobs.secret))
        assert browser.at == "/account/factors/new"
        await browser.submit(factor="nothing", otp=code(world, bobs.secret))
        assert browser.page.status_code == 404
    assert await factor_ids(world) == []
    assert await factor_ids(world, "bob") == []


async def test_where_the_tenant_offers_none_there_is_no_page(world: World) -> None:
    await change_people(world, otp="off")
    async with logged_in(world) as browser:
        assert "/account/factors/new" not in browser.page.text
        assert (await browser.get("/account/factors/new")).status_code == 404


async def test_ten_factors_are_enough(world: World) -> None:
    for _ in range(10):
        secret = await enrol(world)
    async with logged_in(world, secret=secret) as browser:
        await browser.get("/account/factors/new")
        assert browser.page.status_code == 409
    assert len(await factor_ids(world)) == 10


# -- the last ----------------------------------------------------------------------------------------------------------


async def test_the_last_factor_goes_with_all_that_stood_for_it(each_world: World) -> None:
    world = each_world
    await change_people(world, trusted_devices=True)
    await stands_alone(world)
    secret = await enrol(world)
    (one, *_) = await recovery_codes(world)
    (factor,) = await factor_ids(world)
    async with Browser(world) as trusted:
        await trusted.log_in()
        await trusted.submit(otp=code(world, secret), trust_device="yes")
        world.clock.advance(seconds=STEP)
        async with logged_in(world, secret=secret) as mine:
            assert await remove(mine, factor) == 200
            assert mine.at == "/account"
            assert await has_session(mine)
            assert not await has_session(trusted)
            await add(mine, world)
        async with Browser(world) as other:
            await other.log_in()
            await other.get("/login/recovery")
            await other.submit(recovery_code=one)
            assert other.page.status_code == 400
        await trusted.log_in()
        assert trusted.at == "/login/otp"  # its trust did not outlive what it stood in for
    (event,) = await events_of(world, "factor.removed")
    assert event["details"] == {"factor": str(factor), "last": True, "sessions_ended": 1}
    assert ("factor_removed", {"user_id": str(world.acme.users["alice"])}) in await waiting_letters(world)


async def test_one_of_several_goes_and_the_codes_stay(world: World) -> None:
    secret = await enrol(world)
    await enrol(world)
    await recovery_codes(world)
    first, second = await factor_ids(world)
    async with logged_in(world, secret=secret) as mine, logged_in(world, secret=secret) as other:
        assert await remove(mine, second) == 200
        assert await has_session(mine)
        assert not await has_session(other)
    assert await factor_ids(world) == [first]
    async with world.store() as store:
        assert await store.recovery_codes.left(world.acme.users["alice"]) == 10


@pytest.mark.parametrize("rule", [{"otp": "required"}, {"otp_roles": ("writer",)}])
async def test_the_last_factor_stays_where_one_is_required(world: World, rule: dict[str, object]) -> None:
    await stands_alone(world)
    secret = await enrol(world)
    await change_people(world, **rule)
    (factor,) = await factor_ids(world)
    async with logged_in(world, secret=secret) as browser:
        assert await remove(browser, factor) == 409
        assert "Add another authenticator first" in text_of(browser)
        answer = await browser.post(f"/account/factors/{factor}/remove", token_of(browser))
        assert answer.status_code == 409
        await add(browser, world)
        assert await remove(browser, factor) == 200
    assert len(await factor_ids(world)) == 1


async def test_the_last_factor_stays_while_the_password_cannot_stand_alone(world: World) -> None:
    secret = await enrol(world)
    (factor,) = await factor_ids(world)
    async with logged_in(world, secret=secret) as browser:
        assert await remove(browser, factor) == 409
        assert "Choose one of at least 15 characters first" in text_of(browser)
        answer = await browser.post(f"/account/factors/{factor}/remove", token_of(browser))
        assert answer.status_code == 409
        for new, status in (("k7mq2xvd", 409), ("seven green bottles on the wall", 200)):
            await browser.get("/account/password")
            current = world.acme.password if status == 409 else "k7mq2xvd"
            await browser.submit(current_password=current, password=new)
            assert await remove(browser, factor) == status
    assert await factor_ids(world) == []


async def test_two_removals_at_once_leave_one_where_one_is_required(each_world: World) -> None:
    world = each_world
    secret = await enrol(world)
    await enrol(world)
    await change_people(world, otp="required")
    async with logged_in(world, secret=secret) as browser:
        token, cookies = token_of(browser), dict(browser.client.cookies)

        async def post(factor: UUID) -> int:
            async with world.client(cookies=cookies) as client:
                answer = await client.post(
                    f"/t/acme/account/factors/{factor}/remove",
                    data=token,
                    headers={"Origin": PUBLIC_URL},
                )
                return answer.status_code

        answers = await asyncio.gather(*(post(factor) for factor in await factor_ids(world)))
    assert sorted(answers) == [303, 409]
    assert len(await factor_ids(world)) == 1

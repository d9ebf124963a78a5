"""What somebody calls an authenticator, and the codes for when it is lost."""

from tests.gateway.account.house import events_of, factor_ids, logged_in, names_of, text_of
from tests.gateway.browser import Browser
from tests.gateway.login.people import enrol, recovery_codes
from tests.gateway.world import World


async def test_a_factor_is_renamed(world: World) -> None:
    secret = await enrol(world)
    (factor,) = await factor_ids(world)
    async with logged_in(world, secret=secret) as browser:
        await browser.get(f"/account/factors/{factor}/rename")
        await browser.submit(name=" Old <b>phone</b> ")
        assert browser.at == "/account"
        assert "Old <b>phone</b>" in text_of(browser).replace("&lt;", "<")
        assert "<b>" not in browser.page.text
        for name in ("", " ", "a" * 101, "two\nlines"):
            await browser.get(f"/account/factors/{factor}/rename")
            assert (await browser.submit(name=name)).status_code == 422
    assert await names_of(world) == ["Old <b>phone</b>"]
    assert len(await events_of(world, "factor.renamed")) == 1


async def test_new_codes_are_shown_once_and_the_old_are_dead(world: World) -> None:
    secret = await enrol(world)
    (old, *_) = await recovery_codes(world)
    async with logged_in(world, secret=secret) as browser, Browser(world) as other:
        await browser.get("/account/recovery-codes")
        assert "10 left" in text_of(browser)
        await browser.submit()
        codes = [word for word in text_of(browser).split() if word.count("-") == 3]
        assert len(codes) == 10
        await browser.get("/account/recovery-codes")
        assert codes[0] not in browser.page.text
        await other.log_in()
        await other.get("/login/recovery")
        await other.submit(recovery_code=old)
        assert other.page.status_code == 400
        await other.submit(recovery_code=codes[0])
        assert other.at == "/account"
    assert len(await events_of(world, "recovery_codes.made")) == 1


async def test_without_a_factor_there_are_no_recovery_codes(world: World) -> None:
    async with logged_in(world) as browser:
        assert (await browser.get("/account/recovery-codes")).status_code == 404

"""``/logout`` for applications (RP-Initiated Logout): who brings the session's ID token ends it, others are asked."""

from urllib.parse import parse_qs, urlencode, urlsplit

from tenants import logout_notices
from tests.gateway.browser import Browser
from tests.gateway.login.applications import (
    BYE,
    OWN_SCHEME,
    WITH_QUERY,
    add_client,
    ask,
    hint,
    is_asked,
    logged_in,
    sent_to,
    session_of,
)
from tests.gateway.world import World


async def test_the_id_token_of_the_session_ends_it_unasked_and_leads_back(each_world: World) -> None:
    world = each_world
    await add_client(world)
    async with logged_in(world) as browser:
        session = await session_of(browser)
        assert session is not None
        async with world.store() as store:
            await store.logout_notices.used_by(session.id, "rp")
        token = await hint(browser)
        await ask(browser, id_token_hint=token, post_logout_redirect_uri=BYE, state="a b&c=d%")
        assert browser.page.status_code == 303
        to = urlsplit(sent_to(browser))
        assert f"{to.scheme}://{to.netloc}{to.path}" == BYE
        assert parse_qs(to.query) == {"state": ["a b&c=d%"]}
        assert (browser.cookie("session"), browser.cookie("login")) == (None, None)
        assert browser.cookie("device") is not None, "the browser stays a known device"
    async with world.store() as store:
        ended = await store.sessions.get(session.id)
        assert ended is not None
        assert ended.ended_at == world.clock()
        assert [(entry.kind, entry.value) for entry in await store.revocations.list()] == [("session", str(session.id))]
    (event,) = [event for event in await world.events() if event["type"] == "logout"]
    assert (event["client_id"], event["session_id"], event["user_name"]) == ("rp", str(session.id), "alice")
    assert token not in str(await world.events())
    async with world.installation.database.system_snapshot() as connection:
        (notice,) = await logout_notices.due(connection, world.clock(), limit=10)
    assert notice.client_id == "rp"


async def test_the_way_back_is_the_registered_address_with_the_state(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
        for address, state, expected in (
            (BYE, None, BYE),
            (BYE, "x", f"{BYE}?state=x"),
            (WITH_QUERY, "x", f"{WITH_QUERY}&state=x"),
            (WITH_QUERY, None, WITH_QUERY),
            (OWN_SCHEME, "x", f"{OWN_SCHEME}?state=x"),
            (BYE, "\r\nSet-Cookie: a=b", f"{BYE}?state=%0D%0ASet-Cookie%3A+a%3Db"),
            (BYE, "", BYE),
        ):
            await ask(browser, id_token_hint=token, client_id="rp", post_logout_redirect_uri=address, state=state)
            assert sent_to(browser) == expected


async def test_an_id_token_that_is_over_still_counts(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
        world.clock.advance(hours=2)
        await ask(browser, id_token_hint=token, post_logout_redirect_uri=BYE)
        assert sent_to(browser) == BYE
        assert await session_of(browser) is None


async def test_without_a_hint_the_person_is_asked_and_then_led_back(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        await ask(browser, client_id="rp", post_logout_redirect_uri=BYE, state="s", ui_locales="de", logout_hint="x")
        assert is_asked(browser)
        assert "The &lt;b&gt;rp&lt;/b&gt; asks to log you out." in browser.page.text
        assert "form-action 'self' https://rp.example.com;" in browser.page.headers["content-security-policy"]
        assert await session_of(browser) is not None
        await browser.submit()
        assert sent_to(browser) == f"{BYE}?state=s"
        assert browser.cookie("session") is None


async def test_without_an_address_a_page_says_that_it_is_done(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        await ask(browser, id_token_hint=await hint(browser), state="s")
        assert browser.page.status_code == 200
        assert "Your session has ended." in browser.page.text
        assert await session_of(browser) is None


async def test_who_has_no_session_is_led_back_by_an_id_token(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
    async with Browser(world) as browser:
        await ask(browser, post_logout_redirect_uri=BYE, state="s", id_token_hint=token)
        assert sent_to(browser) == f"{BYE}?state=s"
        assert "set-cookie" not in browser.page.headers
        await ask(browser, id_token_hint=token)
        assert "There is no session in this browser." in browser.page.text


async def test_nobody_is_sent_on_by_an_address_that_anybody_can_make(world: World) -> None:
    await add_client(world)
    async with Browser(world) as browser:
        await ask(browser, post_logout_redirect_uri=BYE, state='"s', client_id="rp")
        assert browser.page.status_code == 200
        assert "There is no session in this browser." in browser.page.text
        assert f'href="{BYE}?state=%22s"' in browser.page.text
        assert "Back to The &lt;b&gt;rp&lt;/b&gt;" in browser.page.text
        await ask(browser, client_id="rp")
        assert "There is no session in this browser." in browser.page.text


async def test_a_head_ends_nothing(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        query = urlencode({"id_token_hint": await hint(browser)})
        answer = await browser.client.head(f"/t/acme/logout?{query}")
        assert answer.status_code == 200
        assert await session_of(browser) is not None


async def test_a_post_of_an_application_comes_again_as_a_get(world: World) -> None:
    """A browser sends no cookie with a POST of another site: to act on it would be to find no session there."""
    await add_client(world)
    async with logged_in(world) as browser:
        fields = {
            "id_token_hint": await hint(browser),
            "post_logout_redirect_uri": BYE,
            "state": "s",
            "logout_hint": "x",
        }
        async with Browser(world) as without_cookies:
            answer = await without_cookies.post("/logout", fields, Origin="https://rp.example.com")
        assert answer.status_code == 303
        location = answer.headers["location"]
        assert location.startswith("/t/acme/logout?")
        del fields["logout_hint"]
        assert parse_qs(urlsplit(location).query) == {name: [value] for name, value in fields.items()}
        assert await session_of(browser) is not None
        await browser.get(location)
        assert sent_to(browser) == f"{BYE}?state=s"
        assert await session_of(browser) is None


async def test_a_hint_that_no_address_could_hold_is_left_out_of_it(world: World) -> None:
    fields = {"id_token_hint": "x" * 9000, "client_id": "rp"}
    async with Browser(world) as browser:
        answer = await browser.post("/logout", fields, Origin="null")
    assert answer.headers["location"] == "/t/acme/logout?client_id=rp"

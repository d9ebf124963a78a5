"""Attacks on the login pages, each named for the rule that stops it (see docs/security-review.md)."""

import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from policies import return_address
from tests.gateway.browser import Browser, letters, link_in
from tests.gateway.conftest import OpenWorld
from tests.gateway.login.people import change_people, code, enrol, lock_factor, recovery_codes, shown_secret
from tests.gateway.world import PUBLIC_URL, World

NEW_PASSWORD = "seven green bottles on the wall"


async def sessions_of(world: World, name: str = "alice") -> int:
    async with world.store() as store:
        return len(await store.sessions.of_user(world.acme.users[name]))


async def refused_form(world: World, path: str = "/login", **headers: str) -> httpx.Response:
    """Alice's right password in a form with the right token, sent with these headers."""
    async with Browser(world) as browser:
        await browser.get("/login")
        fields = {**browser.forms[0].fields, "username": "alice", "password": world.acme.password}
        return await browser.post(path, fields, **headers)


# -- forged requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "http://localhost:8080.evil.test",
        "http://localhost",
        "https://localhost:8080",
        "http://LOCALHOST:8080",
    ],
)
async def test_a_form_from_a_foreign_origin_is_refused(world: World, origin: str) -> None:
    answer = await refused_form(world, Origin=origin)
    assert answer.status_code == 403
    assert "yett-acme-session" not in answer.headers.get("set-cookie", "")
    assert await sessions_of(world) == 0
    assert [event["reason"] for event in await world.events()] == ["origin_foreign"]


async def test_a_form_without_an_origin_is_refused(world: World) -> None:
    answer = await refused_form(world, Origin="")
    assert answer.status_code == 403
    assert await sessions_of(world) == 0
    assert [event["reason"] for event in await world.events()] == ["origin_missing"]


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 303), ("same-site", 403), ("cross-site", 403), ("none", 403)]
)
async def test_fetch_metadata_stands_in_for_a_missing_origin(world: World, site: str, status: int) -> None:
    assert (await refused_form(world, Origin="", **{"Sec-Fetch-Site": site})).status_code == status


async def test_a_form_token_of_another_browser_is_refused(world: World) -> None:
    """Login CSRF (L09): the attacker's own token in the victim's browser."""
    async with Browser(world) as attacker, Browser(world) as victim:
        await attacker.get("/login")
        await victim.get("/login")
        fields = {**attacker.forms[0].fields, "username": "alice", "password": world.acme.password}
        answer = await victim.post("/login", fields)
        assert answer.status_code == 403
        assert victim.cookie("session") is None
    assert await sessions_of(world) == 0


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\U0001f600", "a" * 60_000])
async def test_a_made_up_form_token_is_refused(world: World, token: str) -> None:
    async with Browser(world) as browser:
        await browser.get("/login")
        await browser.submit(username="alice", password=world.acme.password, form_token=token)
        assert browser.page.status_code == 403


async def test_a_form_token_of_another_session_logs_nobody_out(world: World) -> None:
    async with Browser(world) as mine, Browser(world) as other:
        await mine.log_in()
        await other.log_in("bob")
        await other.get("/logout")
        answer = await mine.post("/logout/confirm", other.forms[0].fields)
        assert answer.status_code == 403
    assert await sessions_of(world) == 1


async def test_a_get_logs_nobody_out(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/logout")
    assert await sessions_of(world) == 1


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_a_planted_cookie_is_worth_nothing_after_the_login(world: World) -> None:
    """Fixation: session, pending login and device get new secrets, whatever the browser brought."""
    await enrol_none(world)
    async with Browser(world) as attacker:
        await attacker.log_in("bob")
        planted = {kind: attacker.cookie(kind) or "" for kind in ("session", "device")}
    async with Browser(world) as victim:
        for kind, value in planted.items():
            victim.client.cookies.set(f"yett-acme-{kind}", value, domain="localhost.local", path="/")
        await victim.get("/login?again=1")
        await victim.submit(username="alice", password=world.acme.password)
        assert victim.at == "/account"
        assert victim.cookie("session") not in (None, planted["session"])
        assert victim.cookie("device") not in (None, planted["device"])
    async with Browser(world) as attacker:
        attacker.client.cookies.set("yett-acme-session", planted["session"])
        await attacker.get("/account")
        assert attacker.at.startswith("/login")


async def enrol_none(world: World) -> None:
    """Say that nobody here has a second factor, so that the password alone completes a login."""
    async with world.store() as store:
        assert not await store.factors.has_any(world.acme.users["alice"])


async def test_a_step_up_renews_the_session_cookie(world: World) -> None:
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.submit(otp=code(world, secret))
        before = browser.cookie("session")
        world.clock.advance(hours=1)
        await browser.get("/login?max_age=60")
        assert browser.at == "/login/otp"
        await browser.submit(otp=code(world, secret))
        assert browser.at == "/account"
        assert browser.cookie("session") not in (None, before)
    assert await sessions_of(world) == 1, "a step-up is no new session"


@pytest.mark.parametrize(
    "value",
    ["", "yss_", "yss_short", "x" * 100, "yrt_" + "A" * 43, "yss_" + "A" * 43, "..%2f", "ÿ", "yss_" + "A" * 5000],
)
async def test_a_malformed_session_cookie_is_no_session(world: World, value: str) -> None:
    """L11: absent, never an error that lets through."""
    async with world.client() as client:
        cookie = f"yett-acme-session={value}".encode()
        answer = await client.get("/t/acme/account", headers={b"cookie": cookie})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/t/acme/login")


async def test_a_session_of_one_tenant_is_none_of_another(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        secret = browser.cookie("session") or ""
    async with Browser(world, slug="globex") as other:
        other.client.cookies.set("yett-globex-session", secret)
        await other.get("/account")
        assert other.at.startswith("/login")


async def test_a_session_ends_when_it_was_idle_for_too_long(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        world.clock.advance(hours=11)
        await browser.get("/account")
        assert browser.at == "/account"
        world.clock.advance(hours=13)
        await browser.get("/account")
        assert browser.at.startswith("/login")


async def test_a_session_ends_at_its_age_however_busy(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        for _ in range(30 * 24 // 10 - 1):
            world.clock.advance(hours=10)
            await browser.get("/account")
        assert browser.at == "/account"
        world.clock.advance(hours=10)
        await browser.get("/account")
        assert browser.at.startswith("/login")


# -- where a login leads -----------------------------------------------------------------------------------------------

OPEN_REDIRECTS = (
    "https://evil.test", "http://evil.test/t/acme", "//evil.test", "///evil.test", "////evil.test/t/acme/account",
    "/\\evil.test", "\\\\evil.test", "/\t/evil.test", "/\n/evil.test", " //evil.test", "/t/acme//evil.test",
    "/t/acme/../../evil", "/t/acme/..%2f..", "/t/acme/%2e%2e/", "/t/acme\\@evil.test", "/t/acme@evil.test",
    "/t/acme/account#@evil.test", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "/t/globex/account",
    "/t/acmeevil/account", "/orders", "/", "", "http:evil.test", "https:/evil.test", "https:///evil.test",
    "/t/acme/account?next=http://evil.test", "http://localhost:8080@evil.test/", "%2f%2fevil.test",
    "/t/acme/;@evil.test", "//localhost:8080/t/acme",
    "http://localhost:8080/t/acme/account", "/t/acme/account\r\nSet-Cookie: a=b",
    "/t/acme/account\u2028", "ftp://evil.test", "mailto:a@evil.test", "///t/acme/account", "/t/acme/account\x00",
)  # fmt: skip


@pytest.mark.parametrize("address", OPEN_REDIRECTS)
async def test_a_login_leads_nowhere_else(world: World, address: str) -> None:
    async with Browser(world) as browser:
        await browser.get("/login")
        form = browser.forms[0]
        fields = {**form.fields, "username": "alice", "password": world.acme.password, "return_to": address}
        answer = await browser.post("/login", fields)
    if answer.status_code == 400:  # a form with such a sign in it is none
        return
    assert answer.status_code == 303
    assert answer.headers["location"] == "/t/acme/account"


async def test_a_registered_address_is_followed_exactly(world: World) -> None:
    registered = "https://app.acme.test/done?x=1"
    async with world.store() as store:
        client = await store.clients.get("spa")
        assert client is not None
        await store.clients.create(replace(client, client_id="returning", redirect_uris=(registered,)))
    async with Browser(world) as browser:
        for address, expected in (
            (registered, registered),
            (registered + "2", "/t/acme/account"),
            ("https://app.acme.test/", "/t/acme/account"),
        ):
            await browser.get("/login?again=1")
            fields = {
                **browser.forms[0].fields,
                "username": "alice",
                "password": world.acme.password,
                "return_to": address,
            }
            answer = await browser.post("/login", fields)
            assert answer.headers["location"] == expected


def test_what_is_local_stays_below_the_tenant() -> None:
    assert return_address.is_local("/t/acme/account/sessions?x=1", base="/t/acme")
    assert return_address.is_local("/t/acme", base="/t/acme")
    assert not return_address.is_local("/t/acme-two/account", base="/t/acme")


# -- the order of pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login/otp", "/login/recovery", "/login/enrol"])
async def test_no_page_is_reached_by_its_address(world: World, path: str) -> None:
    await enrol(world)
    async with Browser(world) as browser:
        await browser.get(path)
        assert browser.at == "/login"


async def test_a_factor_is_not_tried_before_the_password(world: World) -> None:
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.get("/login")
        token = browser.forms[0].fields["form_token"]
        for path, name in (("/login/otp", "otp"), ("/login/recovery", "recovery_code")):
            answer = await browser.post(path, {"form_token": token, name: code(world, secret)})
            assert answer.status_code == 303
            assert answer.headers["location"] == "/t/acme/login"
    assert await sessions_of(world) == 0


async def test_a_login_that_needs_a_code_cannot_enrol_another_authenticator(world: World) -> None:
    await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        token = browser.forms[0].fields["form_token"]
        await browser.get("/login/enrol")
        assert browser.at == "/login/otp"
        answer = await browser.post("/login/enrol", {"form_token": token, "otp": "123456", "factor": "x"})
        assert answer.headers["location"] == "/t/acme/login/otp"


async def test_a_completed_login_is_not_replayed(world: World) -> None:
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        pending, form = browser.cookie("login") or "", browser.forms[0].fields
        await browser.submit(otp=code(world, secret))
    world.clock.advance(seconds=30)
    async with Browser(world) as again:
        again.client.cookies.set("yett-acme-login", pending)
        answer = await again.post("/login/otp", {**form, "otp": code(world, secret)})
        assert answer.headers["location"] == "/t/acme/login"
        assert again.cookie("session") is None


async def test_a_password_changed_meanwhile_ends_the_pending_login(world: World) -> None:
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        async with world.store() as store:
            current = await store.credentials.password(world.acme.users["alice"])
            assert current is not None
            await store.credentials.set_password(world.acme.users["alice"], current.hash)
        await browser.submit(otp=code(world, secret))
        assert browser.at == "/login"
        assert browser.cookie("session") is None


# -- codes -------------------------------------------------------------------------------------------------------------


async def test_a_code_is_good_once_in_its_step(world: World) -> None:
    """F01, at the page and for a step-up after the login."""
    secret = await enrol(world)
    async with Browser(world) as one, Browser(world) as two:
        await one.log_in()
        await two.log_in()
        used = code(world, secret)
        await one.submit(otp=used)
        assert one.at == "/account"
        await two.submit(otp=used)
        assert two.page.status_code == 400
        await one.get("/login?max_age=0&acr_values=urn:yett:acr:mfa")
        world.clock.advance(seconds=1)
        await one.get("/login?max_age=0")
        assert one.at == "/login/otp"
        await one.submit(otp=used)
        assert one.page.status_code == 400


async def test_the_enrolment_code_logs_nobody_in(world: World) -> None:
    await change_people(world, otp="required")
    async with Browser(world) as browser:
        await browser.log_in()
        secret = shown_secret(browser)
        enrolling = code(world, secret)
        await browser.submit(otp=enrolling)
        assert "recovery" in browser.page.text.lower()
    async with Browser(world) as again:
        await again.log_in()
        await again.submit(otp=enrolling)
        assert again.page.status_code == 400


async def test_ten_thousand_codes_find_nothing(world: World) -> None:
    """The fifth wrong code ends the login, and soon no code is tried at all: F03. The clock stands still meanwhile, so
    this is what an attacker gets in one moment."""
    secret = await enrol(world)
    right = code(world, secret)
    tried = 0
    async with Browser(world) as browser:
        for guess in range(0, 10_000, 400):
            await browser.log_in()
            if browser.page.status_code == 429:
                break
            for wrong in range(guess, guess + 400):
                text = f"{wrong:06d}"
                if text == right:
                    continue
                await browser.submit(otp=text)
                if browser.at != "/login/otp":
                    break
                if browser.page.status_code == 429:
                    assert int(browser.page.headers["retry-after"]) > 0
                    break
                tried += 1
        assert tried <= 5
        await browser.get("/login/otp")
        if browser.at == "/login/otp":
            await browser.submit(otp=right)
            assert browser.page.status_code == 429, "the right code is not tried either"
    assert await sessions_of(world) == 0


async def test_a_recovery_code_is_good_once(world: World) -> None:
    await enrol(world)
    (one, *_) = await recovery_codes(world)
    for expected in ("/account", "/login/recovery"):
        async with Browser(world) as browser:
            await browser.log_in()
            await browser.get("/login/recovery")
            await browser.submit(recovery_code=one)
            assert browser.at == expected


async def test_a_recovery_code_is_no_otp(world: World) -> None:
    """``amr`` of rule 9: a route that asks for ``otp`` is not met by it."""
    await enrol(world)
    (one, *_) = await recovery_codes(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/login/recovery")
        await browser.submit(recovery_code=one)
    async with world.store() as store:
        (session,) = await store.sessions.of_user(world.acme.users["alice"])
    assert session.amr == {"pwd", "recovery", "mfa"}


async def test_new_recovery_codes_kill_the_old(world: World) -> None:
    await enrol(world)
    (old, *_) = await recovery_codes(world)
    await recovery_codes(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/login/recovery")
        await browser.submit(recovery_code=old)
        assert browser.page.status_code == 400


async def test_a_locked_factor_is_locked_on_every_way(world: World) -> None:
    secret = await enrol(world)
    codes = await recovery_codes(world)
    await lock_factor(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.submit(otp=code(world, secret))
        assert browser.page.status_code == 429
        await browser.get("/login/recovery")
        await browser.submit(recovery_code=codes[0])
        assert browser.page.status_code == 429


# -- letters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8080", "X-Forwarded-Host": "evil.test"},
        {"Host": "localhost:8080", "Forwarded": "host=evil.test;proto=http"},
        {"Host": "localhost:8080", "X-Forwarded-Proto": "http", "X-Original-Host": "evil.test"},
    ],
)
async def test_links_are_made_of_the_issuer_alone(world: World, headers: dict[str, str]) -> None:
    """R01: reset poisoning."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with Browser(world) as browser:
        await browser.get("/forgot")
        answer = await browser.post("/forgot", {**browser.forms[0].fields, "identifier": "alice"}, **headers)
        assert answer.status_code == 200
    await world.deliver()
    (letter,) = letters(world)
    assert "evil" not in letter.as_string()
    assert re.search(
        rf"{re.escape(PUBLIC_URL)}/t/acme/reset\?token=", letter.as_string().replace("=\n", "").replace("=3D", "=")
    )


async def test_another_host_has_no_pages(world: World) -> None:
    async with Browser(world) as browser:
        await browser.get("/forgot")
        answer = await browser.post("/forgot", {**browser.forms[0].fields, "identifier": "alice"}, Host="evil.test")
    assert answer.status_code == 421
    await world.deliver()
    assert letters(world) == []


async def test_forgot_says_the_same_to_everybody(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        await store.users.set_active(world.acme.users["bob"], False)
    pages = set()
    for identifier in ("alice", "alice@acme.test", "bob", "mallory", "nobody", "nobody@acme.test", "!"):
        async with Browser(world) as browser:
            await browser.get("/forgot")
            page = await browser.submit(identifier=identifier)
            pages.add(
                (page.status_code, page.text, *sorted((k, v) for k, v in page.headers.items() if k != "x-request-id"))
            )
    assert len(pages) == 1
    await world.deliver()
    assert [letter["to"] for letter in letters(world)] == ["alice@acme.test"] * 2


async def test_a_get_of_a_link_uses_nothing_up(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        await store.mail_outbox.add("reset", {"identifier": "alice"})
    await world.deliver()
    link = link_in(letters(world)[-1])
    async with Browser(world) as browser:
        for _ in range(5):
            await browser.get(link)
            assert browser.page.status_code == 200
        await browser.submit(password=NEW_PASSWORD)
        assert browser.at == "/login"
        await browser.get(link)
        assert browser.page.status_code == 410


async def test_a_reset_entered_at_its_last_step_is_refused(world: World) -> None:
    """F05: no link, another purpose's link, another tenant's link."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        asked = {"email": "al@acme.test", "asked_as": "alice@acme.test", "password_version": "1"}
        await store.mail_outbox.add("verify", {"user_id": str(world.acme.users["alice"]), **asked})
        await store.mail_outbox.add("reset", {"identifier": "alice"})
    await world.deliver()
    tokens = {
        link.partition("?")[0].rsplit("/", 1)[1]: link.partition("token=")[2] for link in map(link_in, letters(world))
    }
    assert tokens.keys() == {"verify", "reset"}
    for slug, token in (
        ("acme", ""),
        ("acme", tokens["verify"]),
        ("globex", tokens["reset"]),
        ("acme", tokens["reset"].upper()),
        ("acme", tokens["reset"] + "x"),
        ("acme", tokens["reset"][:-1]),
    ):
        async with Browser(world, slug=slug) as browser:
            await browser.get("/login")
            fields = {"form_token": browser.forms[0].fields["form_token"], "token": token, "password": NEW_PASSWORD}
            assert (await browser.post("/reset", fields)).status_code == 410
    async with Browser(world) as browser:
        await browser.get(f"/reset?token={tokens['reset']}")
        await browser.submit(password=NEW_PASSWORD)
        assert browser.at == "/login", "what was tried elsewhere used nothing up"


async def test_a_reset_is_over_after_its_time(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        await store.mail_outbox.add("reset", {"identifier": "alice"})
    await world.deliver()
    link = link_in(letters(world)[-1])
    async with Browser(world) as browser:
        await browser.get(link)
        world.clock.advance(minutes=31)
        await browser.submit(password=NEW_PASSWORD)
        assert browser.page.status_code == 410


async def test_a_reset_ends_every_session(world: World) -> None:
    async with Browser(world) as thief:
        await thief.log_in()
        await test_a_get_of_a_link_uses_nothing_up(world)
        await thief.get("/account")
        assert thief.at.startswith("/login")


async def test_an_invitation_for_a_disabled_name_makes_nobody(world: World) -> None:
    """R03: what the invitation would make exists by now, so it is refused and stays as it was."""
    async with world.store() as store:
        await store.mail_outbox.add(
            "invite", {"email": "new@acme.test", "name": "newcomer", "roles": "writer", "invited_by": "x"}
        )
    await world.deliver()
    async with world.store() as store:
        taken = await store.users.create("newcomer")
        await store.users.set_active(taken.id, False)
    async with Browser(world) as browser:
        await browser.get(link_in(letters(world)[-1]))
        await browser.submit(password=NEW_PASSWORD, name="alice", email="evil@acme.test", roles="admin")
        assert browser.page.status_code == 409
        assert browser.cookie("session") is None


async def test_sign_up_is_closed_unless_the_tenant_opens_it(world: World) -> None:
    async with Browser(world) as browser:
        assert (await browser.get("/signup")).status_code == 404
        await browser.get("/login")
        assert "/signup" not in browser.page.text
        fields = {"form_token": browser.forms[0].fields["form_token"], "email": "new@acme.test"}
        assert (await browser.post("/signup", fields)).status_code == 404


# -- passwords ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"password=" + b"a" * 10_000_000, 413),
        (b"password=" + b"a" * 1025, 422),
        (b"password=a%00b", 400),
        (b"password=%ED%A0%80", 400),
        (b"password=%FF", 400),
        (b"password=", 400),
        (b"", 400),
    ],
    ids=["10 MB", "1025 bytes", "NUL", "unpaired surrogate", "no UTF-8", "empty", "none"],
)
async def test_a_password_that_is_none_is_refused_before_it_costs(world: World, raw: bytes, status: int) -> None:
    async with Browser(world) as browser:
        await browser.get("/login")
        token = browser.forms[0].fields["form_token"]
        body = f"form_token={token}&username=alice&".encode() + raw
        headers = {"Origin": PUBLIC_URL, "Content-Type": "application/x-www-form-urlencoded"}
        answer = await browser.client.post("/t/acme/login", content=body, headers=headers)
    assert answer.status_code == status
    assert await sessions_of(world) == 0


async def test_look_alike_names_find_one_account(world: World) -> None:
    """D01: what looks like alice is alice, or nobody."""
    for name in ("ALICE", "\uff41\uff4c\uff49\uff43\uff45"):
        async with Browser(world) as browser:
            await browser.log_in(name)
            assert browser.at == "/account", name
    for name in ("\u0430lice", "alice.", "alice\u200b", "al\u0456ce", "alice "):
        async with Browser(world) as browser:
            await browser.log_in(name)
            assert browser.page.status_code in (303, 400), name
            if browser.page.status_code == 303:
                assert browser.cookie("session") is None


# -- the throttle ------------------------------------------------------------------------------------------------------


async def test_the_owner_gets_in_from_a_known_device_meanwhile(world: World) -> None:
    """L05, L07: an outsider locks nobody out, and a locked account tells nothing about the password."""
    async with Browser(world) as owner:
        await owner.log_in()
        await owner.get("/logout")
        await owner.submit()
        answers = []
        async with Browser(world, address="198.51.100.9") as attacker:
            for number in range(12):
                await attacker.log_in(password=f"wrong {number}")
                answers.append(attacker.page.status_code)
            assert answers == [400] * 5 + [429] * 7
            await attacker.log_in()
            locked_and_right = (attacker.page.status_code, attacker.error())
            await attacker.log_in(password="wrong again")
            assert (attacker.page.status_code, attacker.error()) == locked_and_right
        await owner.log_in()
        assert owner.at == "/account"


async def test_a_login_says_whether_its_browser_is_new_to_the_user(world: World) -> None:
    """The first one of all is new to nobody: an account has to begin somewhere."""
    async with Browser(world) as first, Browser(world) as second:
        for browser in (first, second, second, first):
            await browser.log_in()
            await browser.get("/logout")
            await browser.submit()
    logins = [told for told in await world.events() if told["type"] == "login.succeeded"]
    assert [told["details"]["new_device"] for told in logins] == [False, True, False, False]


async def test_names_that_are_nobodys_are_told_apart_and_not_told(world: World) -> None:
    async with Browser(world, address="198.51.100.9") as attacker:
        for name in ("hunter2", "HUNTER2", "other", "alice"):
            await attacker.log_in(name, password="a wrong one")
    told = await world.events()
    first, again, other, known = (one["details"].get("account") for one in told)
    assert first == again != other
    assert known is None
    assert "hunter2" not in str(told).lower()


async def test_the_page_and_the_grant_share_one_throttle(world: World) -> None:
    """T15."""
    async with Browser(world, address="198.51.100.9") as attacker:
        for number in range(3):
            await attacker.log_in(password=f"wrong {number}")
    for number in range(2):
        form = world.acme.form(password=f"wrong {number}")
        assert (await world.post(form, address="198.51.100.10")).status_code == 400
    answer = await world.post(world.acme.form(), address="198.51.100.11")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_a_known_network_has_its_own_budget_at_the_api(world: World) -> None:
    await world.login()
    for number in range(8):
        await world.post(world.acme.form(password=f"wrong {number}"), address="198.51.100.9")
    assert (await world.post(world.acme.form(), address="198.51.100.9")).status_code == 429
    await world.login()
    world.clock.advance(days=31)  # by then the network is a stranger again, and so is the attacker's count
    assert (await world.post(world.acme.form())).status_code == 200


async def test_an_unknown_name_is_throttled_like_a_known_one(world: World) -> None:
    outcomes = {}
    for name in ("alice", "nobody", "mallory"):
        async with Browser(world, address=f"198.51.100.{len(name)}") as attacker:
            seen = []
            for number in range(8):
                await attacker.log_in(name, f"wrong {number}")
                seen.append((attacker.page.status_code, attacker.error(), attacker.page.headers.get("retry-after")))
            outcomes[name] = seen
    assert outcomes["alice"] == outcomes["nobody"] == outcomes["mallory"]


async def test_a_refresh_or_a_code_resets_no_password_counter(world: World) -> None:
    """Only a success of the same kind does (rule 11)."""
    tokens = await world.login()
    for number in range(5):
        await world.post(world.acme.form(password=f"wrong {number}"), address="198.51.100.9")
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200
    assert (await world.post(world.acme.form(), address="198.51.100.9")).status_code == 429


async def test_a_reset_lets_the_owner_in_while_the_account_is_under_attack(world: World) -> None:
    """Rule 11: who has the mailbox has a way in that nobody's attempts can close."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
        await store.mail_outbox.add("reset", {"identifier": "alice"})
    await world.deliver()
    async with Browser(world, address="198.51.100.9") as attacker:
        for number in range(7):
            await attacker.log_in(password=f"wrong {number}")
        assert attacker.page.status_code == 429
    async with Browser(world) as owner:
        await owner.log_in()
        assert owner.page.status_code == 429
        await owner.get(link_in(letters(world)[-1]))
        await owner.submit(password=NEW_PASSWORD)
        await owner.log_in(password=NEW_PASSWORD)
        assert owner.at == "/account"


async def test_throttled_attempts_are_told_and_counted(world: World) -> None:
    async with Browser(world) as attacker:
        for number in range(9):
            await attacker.log_in(password=f"wrong {number}")
    world.clock.advance(seconds=11)
    events = await world.events()
    assert [event["reason"] for event in events[:5]] == ["wrong_password"] * 5
    assert {(event["type"], event["reason"]) for event in events[5:]} == {("page.refused", "login_throttled")}
    assert sum(event.get("count", 1) for event in events[5:]) == 4


async def test_an_address_that_a_thief_asked_for_is_not_given_once_the_owner_has_acted(world: World) -> None:
    """A link that waits in the thief's mailbox, and a letter that waits to be written, die with the old password."""
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with Browser(world) as thief:
        await thief.log_in()
        await thief.get("/account/email")
        await thief.submit(form=-1, email="thief@evil.test")
        await world.deliver()
        link = link_in(letters(world)[-1])
        await thief.get("/account/email")
        await thief.submit(form=-1, email="thief2@evil.test")
        async with world.store() as store:
            await store.mail_outbox.add("reset", {"identifier": "alice"})
    await reset_by_letter(world)
    async with Browser(world) as thief:
        assert (await thief.get(link)).status_code == 410
    assert not [letter for letter in letters(world) if letter["to"] == "thief2@evil.test"]


async def reset_by_letter(world: World) -> None:
    """The owner sets a new password before the thief's second letter is written."""
    async with world.store() as store:
        secret = await store.mail_links.make(
            "reset", lifetime=timedelta(hours=1), user_id=world.acme.users["alice"], email="alice@acme.test"
        )
    async with Browser(world) as owner:
        await owner.get(f"/reset?token={secret}")
        await owner.submit(password=NEW_PASSWORD)
        assert owner.at == "/login"
    await world.deliver()


async def test_a_reset_link_dies_with_the_mailbox_that_it_went_to(world: World) -> None:
    """Rule 7: redemption repeats every check that issuing made."""
    alice = world.acme.users["alice"]
    async with world.store() as store:
        await store.users.set_email(alice, "old@acme.test", verified=True)
        secret = await store.mail_links.make("reset", lifetime=timedelta(hours=1), user_id=alice, email="old@acme.test")
    async with Browser(world) as browser:
        assert (await browser.get(f"/reset?token={secret}")).status_code == 200
        form = browser.forms[0].fields
        async with world.store() as store:
            await store.users.set_email(alice, "new@acme.test", verified=True)
        assert (await browser.post("/reset", {**form, "password": NEW_PASSWORD})).status_code == 410


async def test_a_sign_up_marks_the_field_that_is_wrong_and_no_other(world: World) -> None:
    await change_people(world, sign_up=True)
    async with Browser(world) as browser:
        await browser.get("/signup")
        await browser.submit(email="new@acme.test")
        await world.deliver()
        await browser.get(link_in(letters(world)[-1]))
        for name, password, wrong in (
            ("newcomer", "short", "password"),
            ("new comer", NEW_PASSWORD, "name"),
            ("alice", NEW_PASSWORD, "name"),
        ):
            await browser.submit(name=name, password=password)
            assert browser.wrong() == [wrong]
            assert browser.error()


async def test_a_login_tells_nobody_which_of_its_fields_is_wrong(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in("nobody")
        assert browser.wrong() == ["username", "password"]
        await browser.log_in(password="wrong wrong wrong")
        assert browser.wrong() == ["username", "password"]


async def test_whoever_has_the_mailbox_has_no_more_codes_to_try_than_anybody(world: World) -> None:
    """Each reset makes a known device; a budget of codes of its own it has from its first complete login on."""
    await enrol(world)
    tried = 0
    for _ in range(4):
        async with world.store() as store:
            secret = await store.mail_links.make(
                "reset", lifetime=timedelta(minutes=30), user_id=world.acme.users["alice"]
            )
        async with Browser(world) as browser:
            await browser.get(f"/reset?token={secret}")
            await browser.submit(password=NEW_PASSWORD)
            await browser.log_in(password=NEW_PASSWORD)
            for _ in range(4):
                await browser.submit(otp="000000")
                if browser.at != "/login/otp" or browser.page.status_code == 429:
                    break
                tried += 1
    assert tried <= 5


async def test_a_name_and_an_address_do_not_tell_that_they_belong_together(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with Browser(world, address="198.51.100.9") as attacker:
        for number in range(6):
            await attacker.log_in("alice@acme.test", f"wrong {number}")
        assert attacker.page.status_code == 429
        for name in ("alice", "nobody"):
            await attacker.log_in(name, "wrong")
            assert attacker.page.status_code == 400, name


async def test_a_guessed_link_leaves_a_trace(world: World) -> None:
    async with Browser(world) as attacker:
        for path in ("reset", "invite", "verify"):
            assert (await attacker.get(f"/{path}?token=ypr_guessed")).status_code == 410
    assert {(event["type"], event["reason"]) for event in await world.events()} == {("page.refused", "link_unknown")}


async def test_a_link_is_no_way_to_ask_for_all_names(world: World) -> None:
    await change_people(world, sign_up=True)
    async with world.store() as store:
        secret = await store.mail_links.make("sign_up", lifetime=timedelta(hours=1), email="new@acme.test")
    async with Browser(world) as attacker:
        await attacker.get(f"/verify?token={secret}")
        form = attacker.forms[0].fields
        seen = [
            (await attacker.post("/verify", {**form, "name": "alice", "password": NEW_PASSWORD})).status_code
            for _ in range(104)
        ]
    assert set(seen[:100]) == {409}
    assert set(seen[-3:]) == {429}


async def test_a_page_answers_no_more_than_it_has_to_when_the_limit_is_met(open_world: OpenWorld) -> None:
    async with open_world(limits={"pages": "2/minute"}) as world, Browser(world) as browser:
        for expected in (200, 200, 429):
            assert (await browser.get("/login")).status_code == expected
        assert browser.page.headers["content-type"] == "application/problem+json"


async def test_a_tenant_that_is_suspended_meanwhile_completes_no_login(world: World) -> None:
    """Whether or not this process has heard of it yet."""
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        async with world.installation.store.for_tenant(world.acme.id) as store:
            await store.settings.set_active(False)
        await browser.submit(otp=code(world, secret))
        assert browser.page.status_code == 404
        assert browser.cookie("session") is None


async def test_a_session_that_may_not_go_on_can_still_be_ended(world: World) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        await change_people(world, otp="required")
        await browser.get("/logout")
        await browser.submit()
        assert browser.cookie("session") is None
    assert await sessions_of(world) == 0


async def test_a_strangers_codes_do_not_stop_the_owner_at_the_api(world: World) -> None:
    secret = await enrol(world)
    grant = "urn:yett:params:oauth:grant-type:mfa-otp"

    async def bring(otp: str, address: str) -> int:
        token = (await world.post(world.acme.form(), address=address)).json()["mfa_token"]
        form = {"grant_type": grant, "client_id": "spa", "mfa_token": token, "otp": otp}
        return (await world.post(form, address=address)).status_code

    assert await bring(code(world, secret), "203.0.113.7") == 200
    world.clock.advance(seconds=30)
    assert [await bring("000000", "198.51.100.9") for _ in range(6)] == [400] * 5 + [429]
    assert await bring(code(world, secret), "203.0.113.7") == 200


async def test_every_reason_against_a_login_looks_the_same(world: World) -> None:
    """L01: status, body and header fields, but for the form's token and the request's id."""
    async with world.store() as store:
        await store.users.set_active(world.acme.users["bob"], False)
        await store.users.create("imported")
        imported = await store.users.by_name("imported")
        assert imported is not None
        await store.credentials.set_password(imported.id, "$2b$04$" + "a" * 53)
    answers = []
    tries = [("alice", "wrong"), ("nobody", "wrong"), ("bob", None), ("keyless", "wrong"), ("imported", "wrong")]
    for name, password in [*tries, ("alice", ""), ("nobody", ""), ("a\u200bb", "wrong")]:
        async with Browser(world) as browser:
            await browser.log_in(name, password)
            page = browser.page
            token = browser.forms[0].fields["form_token"]
            text = page.text.replace(token, "").replace(f'value="{name}"', "")
            headers = sorted(
                (key, value) for key, value in page.headers.items() if key not in ("x-request-id", "content-length")
            )
            answers.append((page.status_code, text, headers))
    assert answers == [answers[0]] * len(answers)
    assert answers[0][0] == 400

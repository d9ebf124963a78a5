"""A browser at an API host: led to log in, let through by its cookie, refused to other sites, and out again."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from policies import pkce
from policies.route import Match
from policies.route_table import RouteTable
from tests.gateway.browser_sessions.house import (
    APP,
    CALLBACK,
    HOST,
    PENDING,
    ROUTES,
    SITE,
    House,
    Tab,
    house,
    query_of,
)
from tests.gateway.conftest import OpenWorld
from tests.gateway.login.people import enrol, recovery_codes
from tests.gateway.oauth.authorizing import change_client, change_options
from tests.gateway.world import ORDERS


async def _session(of: House, user: str = "alice") -> Any:
    async with of.world.store() as store:
        (session,) = [one for one in await store.sessions.of_user(of.world.acme.users[user]) if one.client_id is None]
    return session


async def _end(of: House) -> None:
    session = await _session(of)
    async with of.world.store() as store:
        assert await store.sessions.end(session.id)


async def test_a_person_without_a_session_is_led_to_log_in(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        answer = await tab.go("/app/x?y=1&z=%2F")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{here.world.acme.issuer}/authorize?")
        asked = {name: values[0] for name, values in query_of(answer).items()}
        assert asked["client_id"] == "site"
        assert asked["redirect_uri"] == CALLBACK
        assert asked["response_type"] == "code"
        assert asked["resource"] == ORDERS
        assert set(asked["scope"].split()) == {"openid", "orders:read", "orders:write"}
        assert pkce.is_challenge(asked["code_challenge"])
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["nonce"]) >= 43
        assert len(asked["state"]) <= 2000
        assert "acr_values" not in asked
        assert "max_age" not in asked
        assert answer.headers["cache-control"] == "no-store"
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith(f"{PENDING}=")
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=1800"} <= set(cookie.split("; "))
        assert here.upstream.heads == []
        assert here.observed == []


async def test_after_the_login_the_page_is_shown_and_the_api_learns_who_it_is(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.issuer.log_in()
        back = await tab.authorize(await tab.go("/app/x?y=1&z=%2F"))
        answer = await tab.go(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/app/x?y=1&z=%2F")
        assert answer.headers["referrer-policy"] == "no-referrer"
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith(f"{APP}=")
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
        assert "Max-Age" not in cookie
        assert len(cookie) < 4096

        tab.client.cookies.set("theirs", "1", domain=HOST)
        page = await tab.go(answer.headers["location"])
        assert page.status_code == 200
        (seen,) = here.seen
        assert (seen["x-yett-tenant"], seen["x-yett-client"]) == ("acme", "site")
        assert seen["x-yett-subject"] == str(here.world.acme.users["alice"])
        assert seen["cookie"] == "theirs=1"
        assert "authorization" not in seen


async def test_who_does_not_navigate_is_told_401(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        for answer in (await tab.fetch("/app/x"), await tab.fetch("/app/x", "POST"), await tab.fetch("/app/x", "HEAD")):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert not answer.headers.get_list("set-cookie")
        told = await tab.client.get("/app/x", headers={"Accept": "application/json"})
        assert told.status_code == 401
        assert (await tab.client.get("/app/x", headers={"Accept": "text/html"})).status_code == 303
        bearer = {"Authorization": "Bearer nonsense"}
        assert (await tab.go("/app/x", **bearer)).status_code == 401  # who sends a token is no browser's person
        assert (await tab.go("/api/x")).status_code == 401


async def test_a_cookie_speaks_for_pages_of_its_own_site_only(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        assert (await tab.fetch("/app/x")).status_code == 200
        assert (await tab.fetch("/app/x", "POST")).status_code == 200
        assert (await tab.go("/app/x", **{"Sec-Fetch-Site": "cross-site"})).status_code == 200  # a link of another site
        own_form = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}  # of a page with Referrer-Policy: no-referrer
        assert (await tab.client.post("/app/x", headers=own_form)).status_code == 200
        before = len(here.upstream.heads)
        for headers in (
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://sub.api.example.com", "Sec-Fetch-Site": "same-site"},
            {"Origin": f"{SITE}:8443", "Sec-Fetch-Site": "same-site"},
            {"Origin": "http://api.example.com", "Sec-Fetch-Site": "same-site"},
            {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {},
        ):
            answer = await tab.client.post("/app/x", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "request_forged"), headers
        for headers in (
            {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site", "Origin": "https://sub.api.example.com"},
            {"Sec-Fetch-Mode": "websocket", "Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
        ):
            assert (await tab.client.get("/app/x", headers=headers)).status_code == 401, headers
        assert len(here.upstream.heads) == before


async def test_a_cookie_opens_no_route_that_does_not_say_so(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        assert (await tab.fetch("/api/x")).status_code == 401
        assert (await tab.go("/api/x")).status_code == 401
        token = (await here.world.login())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await tab.client.get("/api/x", headers=bearer)).status_code == 200
        assert (await tab.client.post("/app/x", headers=bearer)).status_code == 200  # no cookie speaks here


async def test_a_session_that_ends_at_the_issuer_ends_here(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        assert (await tab.go("/app/x")).status_code == 200
        await _end(here)
        assert (await tab.fetch("/app/x")).status_code == 401
        again = await tab.go("/app/x")
        assert again.headers["location"].startswith(f"{here.world.acme.issuer}/authorize?")
        here.world.clock.advance(minutes=6)
        assert (await tab.fetch("/app/x")).status_code == 401
        assert (await tab.fetch("/app/x")).status_code == 401
        refused = await here.told("token.refused")
        assert [event["reason"] for event in refused] == ["session_ended"]  # asked once, not with each request


async def test_tokens_are_renewed_once_for_all_tabs(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        for _ in range(3):
            answers = await asyncio.gather(*(tab.fetch("/app/x") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}
            here.world.clock.advance(minutes=5)
        assert len(await here.told("token.refreshed")) == 3


async def test_an_idle_session_is_over_and_a_used_one_is_not(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        for _ in range(3):
            here.world.clock.advance(hours=11)
            assert (await tab.fetch("/app/x")).status_code == 200
        here.world.clock.advance(hours=13)
        assert (await tab.fetch("/app/x")).status_code == 401
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        for _ in range(31 * 24 // 11):
            here.world.clock.advance(hours=11)
            await tab.fetch("/app/x")
        assert (await tab.fetch("/app/x")).status_code == 401  # absolute age


async def test_what_a_user_may_is_asked_anew_with_each_token(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in("/writers")
        assert (await tab.fetch("/writers")).status_code == 200
        alice = here.world.acme.users["alice"]
        async with here.world.store() as store:
            await store.roles.withdraw(alice, "writer")
            await store.roles.assign(alice, "reader")
        here.world.clock.advance(minutes=6)
        assert (await tab.fetch("/app/x")).status_code == 200
        refused = await tab.go("/writers")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")  # no login would help
        async with here.world.store() as store:
            await store.users.set_active(alice, False)
        assert (await tab.fetch("/app/x")).status_code == 401


async def test_a_client_that_is_not_the_tenants_own_needs_the_consent_still(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await change_options(here.world, "site", first_party=False)
        await tab.issuer.log_in()
        to = urlsplit((await tab.go("/app/x")).headers["location"])
        await tab.issuer.get(f"{to.path}?{to.query}")
        await tab.issuer.submit(decision="allow")
        await tab.go(tab.issuer.page.headers["location"])
        assert (await tab.fetch("/app/x")).status_code == 200
        async with here.world.store() as store:
            await store.consents.withdraw(here.world.acme.users["alice"], "site")
        here.world.clock.advance(minutes=6)
        assert (await tab.fetch("/app/x")).status_code == 401


async def test_a_stronger_login_is_asked_for_as_the_challenge_says(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        fetched = await tab.fetch("/strict/x")
        assert (fetched.status_code, fetched.json()["code"]) == (401, "insufficient_user_authentication")
        here.world.clock.advance(minutes=20)
        asked = query_of(await tab.go("/strict/x"))
        assert (asked["acr_values"], asked["max_age"]) == (["urn:yett:acr:mfa"], ["900"])


OTP = {
    "name": "otp",
    "match": {"path": "/otp/**"},
    "tenants": ["acme"],
    "require": {"amr": ["otp"]},
    "session": "cookie",
    "upstream": "orders",
}


async def test_a_login_that_did_not_help_is_not_asked_for_again_at_once(open_world: OpenWorld) -> None:
    """A recovery code is a second factor and no ``otp``: the issuer takes the session for good enough, each time."""
    async with house(open_world, routes=[*ROUTES, OTP]) as here, here.tab() as tab:
        await enrol(here.world)
        (one, *_) = await recovery_codes(here.world)
        await tab.issuer.log_in()
        await tab.issuer.get("/login/recovery")
        await tab.issuer.submit(recovery_code=one)
        await tab.log_in("/otp/x")
        await tab.log_in("/otp/x")  # the first one was for no more than a session
        for _ in range(2):
            refused = await tab.go("/otp/x")
            assert (refused.status_code, refused.json()["code"]) == (401, "insufficient_user_authentication")
        assert (await tab.go("/app/x")).status_code == 200
        assert (await tab.go("/strict/x")).status_code == 200
        here.world.clock.advance(seconds=61)
        assert (await tab.go("/otp/x")).status_code == 303


async def test_a_session_that_ends_after_each_login_is_no_endless_round(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        for _ in range(2):
            await tab.log_in()
            await _end(here)
            await tab.issuer.log_in()
        refused = await tab.go("/app/x")
        assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
        here.world.clock.advance(seconds=61)
        assert (await tab.go("/app/x")).status_code == 303


async def test_a_right_that_came_later_is_logged_in_for_once(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        alice = here.world.acme.users["alice"]
        async with here.world.store() as store:
            await store.roles.withdraw(alice, "writer")
            await store.roles.assign(alice, "reader")
        await tab.log_in()
        assert (await tab.fetch("/writers")).status_code == 403
        await tab.log_in("/writers")
        refused = await tab.go("/writers")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        assert (await tab.go("/app/x")).status_code == 200
        async with here.world.store() as store:
            await store.roles.assign(alice, "writer")
        here.world.clock.advance(seconds=61)
        await tab.log_in("/writers")
        assert (await tab.go("/writers")).status_code == 200


async def test_who_says_no_is_told_so_and_not_sent_round(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.issuer.log_in()
        back = await tab.authorize(await tab.go("/app/x"))
        parameters = dict(parse_qsl(urlsplit(back).query))
        del parameters["code"]
        for error, status, code in (
            ("access_denied", 403, "login_refused"),
            ("unmet_authentication_requirements", 403, "login_refused"),
            ("server_error", 400, "login_failed"),
        ):
            answer = await tab.go(f"/.yett/callback?{urlencode({**parameters, 'error': error})}")
            assert (answer.status_code, answer.json()["code"]) == (status, code)


async def _answers(tab: Tab, back: str, **changes: str | None) -> str:
    parameters = {**dict(parse_qsl(urlsplit(back).query)), **changes}
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    answer = await tab.go(f"/.yett/callback?{query}")
    assert answer.status_code == 400, answer.headers
    assert answer.json()["code"] == "login_failed"
    assert not answer.headers.get_list("set-cookie")
    return tab.house.observed[-1].reason


async def test_an_answer_counts_for_the_login_that_asked_for_it_and_no_other(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab, here.tab() as other:
        await tab.issuer.log_in()
        back = await tab.authorize(await tab.go("/app/x"))
        second = await tab.authorize(await tab.go("/app/y"))
        codes = [dict(parse_qsl(urlsplit(url).query))["code"] for url in (back, second)]
        assert await _answers(tab, back, state=None) == "state_unknown"
        assert await _answers(tab, back, state="AAAA") == "state_unknown"
        assert await _answers(tab, back, iss=None) == "issuer_mismatch"
        assert await _answers(tab, back, iss=here.world.globex.issuer) == "issuer_mismatch"
        assert await _answers(tab, back, code="yac_another") == "code_unknown"
        assert await _answers(tab, back, code=None) == "parameter_missing"
        # Somebody else's answer, in this browser or in theirs: it would log a person in to another's account.
        assert await _answers(other, back) == "state_of_another_browser"
        await other.go("/app/x")
        assert await _answers(other, back) == "state_of_another_browser"
        # One login's code with the other's state has another verifier and another nonce.
        await _answers(tab, back, code=codes[1])
        assert (await tab.go(back)).status_code == 303  # it was not used up meanwhile
        await _answers(tab, back)
        here.world.clock.advance(minutes=31)
        assert await _answers(tab, second) == "login_over"


async def test_two_tabs_log_in_at_once(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        one, two = await tab.go("/app/one"), await tab.go("/app/two")
        await tab.issuer.log_in()
        for begun, page in ((two, "/app/two"), (one, "/app/one")):
            assert (await tab.go(await tab.authorize(begun))).headers["location"] == page


@pytest.mark.parametrize(
    ("address", "goes_to"),
    [
        ("/app/x", "/app/x"),
        ("/app//evil.example", None),
        ("/app/x?" + "y" * 3000, "/app/x"),
        ("/app/" + "z" * 3000, "/"),
        ('/app/x?"quoted"', "/app/x?%22quoted%22"),
    ],
)
async def test_the_way_back_stays_on_this_site(open_world: OpenWorld, address: str, goes_to: str | None) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.issuer.log_in()
        begun = await tab.go(address)
        if goes_to is None:
            assert begun.status_code == 400
            return
        answer = await tab.go(await tab.authorize(begun))
        assert answer.headers["location"] == goes_to


async def test_a_cookie_counts_at_its_host_and_its_tenant_only(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab, here.tab("https://other.example.com") as other:
        await tab.log_in()
        value = tab.client.cookies[APP]
        headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        for name, cookie, status in (
            (APP, value, 200),
            (APP, value[:-2] + "AA", 401),
            (APP, value + "A", 401),
            ("__Host-yett-globex-app", value, 401),
            ("yett-acme-app", value, 401),
            (PENDING, value, 401),
            (APP, tab.client.cookies[PENDING], 401),
            (APP, "A" * 5000, 401),
        ):
            tab.client.cookies.clear()
            answer = await tab.client.get("/app/x", headers={**headers, "Cookie": f"{name}={cookie}"})
            assert answer.status_code == status, name
        doubled = {**headers, "Cookie": f"{APP}={value}; {APP}={value}"}
        assert (await tab.client.get("/app/x", headers=doubled)).status_code == 401
        assert (await other.client.get("/app/x", headers={**headers, "Cookie": f"{APP}={value}"})).status_code == 401


async def test_a_path_of_two_tenants_takes_the_session_that_there_is(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        assert (await tab.go("/both")).status_code == 401  # nobody says whose login
        await tab.log_in()
        assert (await tab.go("/both")).status_code == 200


class Counting(RouteTable):
    """Counts its look-ups."""

    looked = 0

    def match(self, host: str, method: str, path: bytes | tuple[str, ...], tenant: str | None) -> Match:
        self.looked += 1
        return super().match(host, method, path, tenant)


@pytest.mark.parametrize("tenants", [1, 40])
async def test_a_request_costs_the_same_at_a_host_of_many_tenants(open_world: OpenWorld, tenants: int) -> None:
    others = [
        {**ROUTES[0], "name": f"tenant-{number}", "match": {"path": f"/{number}/**"}, "tenants": [f"tenant-{number}"]}
        for number in range(tenants)
    ]
    async with house(open_world, routes=[*ROUTES, *others]) as here, here.tab() as tab:
        table = Counting.compile(here.plane.config.table.routes)
        assert isinstance(table, Counting)
        here.plane.config = replace(here.plane.config, table=table)
        assert (await tab.fetch("/app/x")).status_code == 401
        assert table.looked == 1  # the gate's own
        await tab.log_in()
        tab.client.cookies.set("__Host-yett-nobody-app", "x", domain=HOST)
        table.looked = 0
        assert (await tab.fetch("/app/x")).status_code == 200
        assert table.looked <= 3  # for the cookie, for a stranger, for the token


@pytest.mark.parametrize(
    ("fields", "control"),
    [
        (b"", ["private"]),
        (b"Cache-Control: public, max-age=60\r\n", ["public, max-age=60"]),
        (b"Vary: Accept\r\n", ["private"]),
    ],
)
async def test_what_a_session_is_shown_is_no_answer_for_others(
    open_world: OpenWorld, fields: bytes, control: list[str]
) -> None:
    async def answering(peer: Any) -> None:
        while True:
            await peer.answer(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 2\r\n\r\nok")

    async with house(open_world) as here, here.tab() as tab:
        here.upstream.scripts = (answering,)
        await tab.log_in()
        answer = await tab.fetch("/app/x")
        assert answer.headers.get_list("cache-control") == control
        assert answer.headers.get_list("vary")[-1] == "Cookie"
        assert (b"Vary: Accept" in fields) == ("Accept" in answer.headers.get_list("vary"))


async def test_logging_out_ends_the_session_here_and_there(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        assert (await tab.go("/app/x")).status_code == 200
        asked = await tab.go("/.yett/logout", **{"Sec-Fetch-Site": "cross-site"})
        assert (asked.status_code, "Log out?" in asked.text) == (200, True)
        assert "default-src 'none'" in asked.headers["content-security-policy"]
        for headers in ({"Origin": "https://evil.example"}, {}, {"Origin": "null"}):
            assert (await tab.client.post("/.yett/logout", headers=headers)).status_code == 403
        assert (await tab.fetch("/.yett/logout", "DELETE")).status_code == 405
        assert (await tab.go("/app/x")).status_code == 200

        done = await tab.fetch("/.yett/logout", "POST")
        assert (done.status_code, "You are logged out" in done.text) == (200, True)
        assert APP not in tab.client.cookies
        await here.world.snapshot.poll()
        (event,) = await here.told("logout")
        assert (event["client_id"], event["user_name"]) == ("site", "alice")
        await tab.issuer.get("/account")
        assert tab.issuer.at.startswith("/login")
        assert (await tab.go("/app/x")).status_code == 303
        assert (await tab.fetch("/.yett/logout", "POST")).status_code == 200  # nothing to end


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "client_disabled"),
        ({"grant_types": frozenset({"password"})}, "grant_type_not_allowed"),
        ({"redirect_uris": ("https://api.example.com/callback",)}, "redirect_uri_unregistered"),
        ({"audiences": ("https://api.example.com/other",)}, "resource_not_allowed"),
        ({"options": {"dpop_bound_access_tokens": True}}, "dpop_bound_access_tokens"),
        ({"options": {"require_pushed_authorization_requests": True}}, "require_pushed_authorization_requests"),
    ],
)
async def test_a_client_that_will_not_do_is_told_at_once(
    open_world: OpenWorld, changes: dict[str, Any], reason: str
) -> None:
    async with house(open_world) as here, here.tab() as tab:
        if "active" in changes:
            async with here.world.store() as store:
                await store.clients.set_active("site", False)
        elif "options" in changes:
            await change_options(here.world, "site", **changes["options"])
        else:
            await change_client(here.world, "site", **changes)
        answer = await tab.go("/app/x")
        assert (answer.status_code, answer.json()["code"]) == (503, "browser_client_unusable")
        assert here.observed[-1].reason == reason


async def test_a_client_that_is_not_there_is_told_at_once(open_world: OpenWorld) -> None:
    async with house(open_world, browser_sessions={"client": "nobody"}) as here, here.tab() as tab:
        assert (await tab.go("/app/x")).json()["code"] == "browser_client_unusable"
        assert here.observed[-1].reason == "client_unknown"
    async with house(open_world, browser_sessions={"client": "web"}) as here, here.tab() as tab:
        assert (await tab.go("/app/x")).json()["code"] == "browser_client_unusable"
        assert here.observed[-1].reason == "client_is_confidential"


async def test_a_suspended_tenant_has_no_sessions(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        async with here.world.store() as store:
            await store.settings.set_active(False)
        assert (await tab.fetch("/app/x")).status_code == 401
        assert (await tab.go("/app/x")).status_code == 401


async def test_an_api_cannot_set_our_cookies(open_world: OpenWorld) -> None:
    async def planting(peer: Any) -> None:
        while True:
            await peer.answer(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: __Host-yett-acme-app=x; Secure; Path=/\r\nContent-Length: 2\r\n\r\nok"
            )

    async with house(open_world) as here, here.tab() as tab:
        await tab.log_in()
        here.upstream.scripts = (planting,)
        answer = await tab.fetch("/app/x")
        assert (answer.status_code, answer.headers.get_list("set-cookie")) == (200, [])


async def test_nothing_else_is_below_the_gateways_own_path(open_world: OpenWorld) -> None:
    async with house(open_world) as here, here.tab() as tab:
        for path in ("/.yett/", "/.yett/other", "/.yett/callback/x"):
            assert (await tab.go(path)).status_code == 404
        assert (await tab.fetch("/.yett/callback", "POST")).status_code == 405
        assert (await tab.go("/.yett/callback?x")).json()["code"] == "login_failed"

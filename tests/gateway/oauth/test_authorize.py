"""``/authorize``: from a client's request, past the login, back to the client (RFC 6749 section 4.1, RFC 9207)."""

import re
from urllib.parse import urlencode, urlsplit

import pytest

from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import (
    CALLBACK,
    VERIFIER,
    WEB_CALLBACK,
    address,
    answered,
    asking,
    change_client,
    first_party,
    openid,
    redeem,
)
from tests.gateway.world import INVOICES, ORDERS, World


@pytest.fixture
async def own(world: World) -> World:
    """A world whose clients are the tenant's own: nobody is asked for a consent."""
    await openid(world)
    await first_party(world)
    return world


async def test_a_login_leads_back_to_the_client_with_a_code_its_state_and_the_issuer(own: World) -> None:
    async with Browser(own) as browser:
        await browser.get(address())
        assert browser.at.startswith("/login?")
        answer = answered(await browser.submit(username="alice", password=own.acme.password))
        assert browser.page.headers["location"].startswith(f"{CALLBACK}?")
        assert (answer.keys(), answer["state"], answer["iss"]) == (
            {"code", "state", "iss"},
            "st 4te&",
            own.acme.issuer,
        )
        tokens = (await redeem(own, answer["code"])).json()
        claims = own.claims(tokens["access_token"])
        assert (claims["sub"], claims["scope"], claims["aud"]) == (
            str(own.acme.users["alice"]),
            "openid orders:read",
            ORDERS,
        )
        id_token = own.claims(tokens["id_token"])
        assert (id_token["aud"], id_token["nonce"], id_token["sid"]) == ("spa", "n0nce", claims["sid"])
        assert "refresh_token" in tokens


async def test_who_is_logged_in_is_sent_straight_back(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        first = answered(await browser.get(address()))
        second = answered(await browser.get(address(state="another")))
        assert first["code"] != second["code"]
        assert second["state"] == "another"


async def test_the_events_say_who_let_which_client_have_what(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        code = answered(await browser.get(address()))["code"]
        await redeem(own, code)
    granted, issued = (await own.events())[-2:]
    assert (granted["type"], granted["client_id"], granted["details"]["scopes"]) == (
        "authorization.granted",
        "spa",
        ["openid", "orders:read"],
    )
    assert (issued["type"], issued["details"]["grant_type"], issued["session_id"]) == (
        "token.issued",
        "authorization_code",
        granted["session_id"],
    )
    assert code not in str(await own.events())


async def test_scopes_are_those_asked_for_that_the_client_and_the_user_have(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in("bob")
        code = answered(await browser.get(address(scope="orders:read orders:write email nonsense")))["code"]
        assert (await redeem(own, code)).json()["scope"] == "email orders:read"


async def test_openid_needs_no_role_and_nothing_left_is_an_invalid_scope(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in("mallory")
        assert (await redeem(own, answered(await browser.get(address(scope="openid")))["code"])).status_code == 200
        answer = answered(await browser.get(address(scope="orders:read")))
        assert (answer["error"], answer["iss"]) == ("invalid_scope", own.acme.issuer)
    assert [event["reason"] for event in await own.events() if event["type"] == "authorization.refused"] == [
        "scope_not_allowed"
    ]


async def test_the_api_asked_for_is_the_audience(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        code = answered(await browser.get(f"{address()}&{urlencode([('resource', ORDERS), ('resource', INVOICES)])}"))
        both = (await redeem(own, code["code"])).json()
        assert own.claims(both["access_token"])["aud"] == [ORDERS, INVOICES]
        code = answered(await browser.get(address(resource=INVOICES)))
        assert own.claims((await redeem(own, code["code"])).json()["access_token"])["aud"] == INVOICES


MISTAKES = {
    "response_type": ({"response_type": "token"}, "unsupported_response_type"),
    "no response_type": ({"response_type": None}, "invalid_request"),
    "response_mode": ({"response_mode": "jwt"}, "invalid_request"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "a challenge that is none": ({"code_challenge": VERIFIER[:42]}, "invalid_request"),
    "prompt": ({"prompt": "create"}, "invalid_request"),
    "none and login": ({"prompt": "none login"}, "invalid_request"),
    "max_age": ({"max_age": "-1"}, "invalid_request"),
    "claims": ({"claims": "{"}, "invalid_request"),
    "claims twice": ({"claims": '{"id_token":{},"id_token":{}}'}, "invalid_request"),
    "claims with NUL": ({"claims": '{"id_token":{"\\u0000":null}}'}, "invalid_request"),
    "claims with half a sign": ({"claims": '{"id_token":{"\\ud800":null}}'}, "invalid_request"),
    "deep claims": ({"claims": "[" * 5000}, "invalid_request"),
    "malformed scope": ({"scope": 'a"b'}, "invalid_scope"),
    "scope of nobody": ({"scope": "nonsense"}, "invalid_scope"),
    "resource": ({"resource": "https://elsewhere.example"}, "invalid_target"),
    "thumbprint": ({"dpop_jkt": "short"}, "invalid_request"),
    "long nonce": ({"nonce": "n" * 513}, "invalid_request"),
}


@pytest.mark.parametrize(("changes", "error"), MISTAKES.values(), ids=MISTAKES)
async def test_a_mistake_goes_back_to_the_client_with_state_and_issuer(
    own: World, changes: dict[str, str | None], error: str
) -> None:
    async with Browser(own) as browser:
        answer = answered(await browser.get(address(**changes)))
        assert (answer["error"], answer["state"], answer["iss"]) == (error, "st 4te&", own.acme.issuer)
        assert browser.page.headers["location"].startswith(f"{CALLBACK}?")
        assert "set-cookie" not in browser.page.headers
    assert [event["outcome"] for event in await own.events()] == ["refused"]


async def test_a_client_without_the_grant_is_told(own: World) -> None:
    await change_client(own, "spa", grant_types=frozenset({"password"}))
    async with Browser(own) as browser:
        assert answered(await browser.get(address()))["error"] == "unauthorized_client"


async def test_a_state_that_is_too_long_is_refused_and_not_sent(own: World) -> None:
    async with Browser(own) as browser:
        answer = answered(await browser.get(address(state="s" * 2001)))
        assert (answer["error"], "state" in answer) == ("invalid_request", False)


NOBODY = {
    "client_missing": {"client_id": None},
    "client_unknown": {"client_id": "nobody"},
    "redirect_uri_missing": {"redirect_uri": None},
    "redirect_uri_unregistered": {"redirect_uri": f"{CALLBACK}/"},
    "request_over": {"begun": "ybg_nothing"},
    "request_uri_unknown": {"request_uri": "urn:ietf:params:oauth:request_uri:yar_nothing"},
    "request_uri_not_supported": {"request_uri": "https://app.acme.test/request"},
}


@pytest.mark.parametrize(("reason", "changes"), NOBODY.items(), ids=NOBODY)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
async def test_nobody_is_answered_whose_address_is_not_proved(
    own: World, reason: str, changes: dict[str, str | None], mode: str
) -> None:
    async with Browser(own) as browser:
        page = await browser.get(address(response_mode=mode, prompt="none", **changes))
        assert page.status_code == 400
        assert "location" not in page.headers
        assert "set-cookie" not in page.headers
        assert page.headers["x-request-id"] in page.text
        assert reason in page.text
        assert "app.acme.test" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
    (event,) = await own.events()
    assert (event["type"], event["reason"]) == ("page.refused", reason)


async def test_a_disabled_client_is_not_answered(own: World) -> None:
    async with own.store() as store:
        await store.clients.set_active("spa", False)
    async with Browser(own) as browser:
        page = await browser.get(address())
        assert (page.status_code, "unauthorized_client" in page.text) == (400, True)


async def test_head_asks_for_nothing_and_uses_nothing_up(own: World) -> None:
    async with own.client() as client:
        pushed = (await client.post("/t/acme/par", data=asking())).json()["request_uri"]
        for query in (asking(), {"client_id": "spa", "request_uri": pushed}):
            answer = await client.head(f"/t/acme/authorize?{urlencode(query)}")
            assert answer.status_code == 405
            assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "POST"}
        answer = await client.get(f"/t/acme/authorize?{urlencode({'client_id': 'spa', 'request_uri': pushed})}")
    assert answer.headers["location"].startswith("/t/acme/login?")


async def test_of_a_request_that_waits_only_what_is_read_again_is_kept(own: World) -> None:
    async with Browser(own) as browser:
        kept = await browser.post("/authorize", {**asking(), "junk": "x" * 50_000, "display": "page"})
        await browser.get(kept.headers["location"])
        secret = browser.at.rpartition("begun%3D")[2]
    async with own.store() as store:
        begun = await store.begun_requests.find(secret)
    assert begun is not None
    assert begun.parameters == {name: [value] for name, value in asking().items()}


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": "login " * 20},
        {"id_token_hint": "x" * 8193},
        {"id_token_hint": "x" * 8192, "claims": '{"id_token": {"x": null}}' + " " * 8100},
    ],
    ids=["prompt", "hint", "all of it"],
)
async def test_strangers_have_little_kept(own: World, more: dict[str, str]) -> None:
    async with Browser(own) as browser:
        answer = answered(await browser.post("/authorize", asking(**more)))
    assert answer["error"] == "invalid_request"


async def test_a_suspended_tenant_answers_nobody(own: World) -> None:
    async with own.store() as store:
        await store.settings.set_active(False)
    async with Browser(own) as browser:
        assert (await browser.get(address())).status_code == 404


async def test_a_repeated_parameter_is_no_request(own: World) -> None:
    async with Browser(own) as browser:
        page = await browser.get(f"{address()}&state=another")
        assert (page.status_code, "location" in page.headers) == (400, False)


# -- response modes


async def test_fragment_puts_the_answer_behind_the_hash(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        answer = answered(await browser.get(address(response_mode="fragment")))
        parts = urlsplit(browser.page.headers["location"])
        assert (parts.query, answer["iss"]) == ("", own.acme.issuer)


async def test_form_post_is_a_page_with_one_script_and_a_button(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        page = await browser.get(address(response_mode="form_post"))
        (form,) = browser.forms
        assert form.action == CALLBACK
        assert form.fields.keys() == {"code", "state", "iss"}  # nothing of ours: no form token
        assert (form.fields["state"], form.fields["iss"]) == ("st 4te&", own.acme.issuer)
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "form-action 'self' https://app.acme.test;" in policy
        assert "unsafe" not in policy
        (script,) = re.findall(r'<script src="([^"]+)"></script>', page.text)
        assert (await browser.client.get(script)).text == 'document.getElementById("answer").submit();\n'
        assert (await redeem(own, form.fields["code"])).status_code == 200


async def test_form_post_carries_a_refusal_too(own: World) -> None:
    async with Browser(own) as browser:
        await browser.get(address(response_mode="form_post", scope="nonsense"))
        assert browser.forms[0].fields["error"] == "invalid_scope"
        assert browser.forms[0].fields["iss"] == own.acme.issuer


async def test_a_registered_query_stays_where_it_is(own: World) -> None:
    await change_client(own, "spa", redirect_uris=(f"{CALLBACK}?tenant=acme",))
    async with Browser(own) as browser:
        await browser.log_in()
        answered(await browser.get(address(redirect_uri=f"{CALLBACK}?tenant=acme")))
        assert browser.page.headers["location"].startswith(f"{CALLBACK}?tenant=acme&code=yac_")


# -- requests that come as a form


async def test_a_form_of_another_site_is_a_request(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        kept = await browser.post("/authorize", asking(), Origin="https://app.acme.test")
        assert kept.status_code == 303
        assert "set-cookie" not in kept.headers
        answer = answered(await browser.get(kept.headers["location"]))
        assert (await redeem(own, answer["code"])).status_code == 200
        over = await browser.get(kept.headers["location"])
        assert (over.status_code, "request_over" in over.text) == (400, True)


async def test_a_form_that_is_wrong_is_answered_at_once(own: World) -> None:
    async with Browser(own) as browser:
        assert answered(await browser.post("/authorize", asking(scope="nonsense")))["error"] == "invalid_scope"
        assert (await browser.post("/authorize", asking(client_id="nobody"))).status_code == 400


# -- the confidential client


async def test_a_confidential_client_needs_pkce_and_its_secret(own: World) -> None:
    web = {"client_id": "web", "redirect_uri": WEB_CALLBACK}
    async with Browser(own) as browser:
        await browser.log_in()
        answer = answered(await browser.get(address(**web, code_challenge=None, code_challenge_method=None)))
        assert answer["error"] == "invalid_request"
        code = answered(await browser.get(address(**web)))["code"]
        assert (await redeem(own, code, **web)).status_code == 401
        assert (await redeem(own, code, **web, client_secret=own.acme.secret)).status_code == 200

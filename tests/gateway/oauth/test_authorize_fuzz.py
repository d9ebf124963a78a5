"""Whatever comes to ``/authorize``, it is answered in order: never a server error, never an address of others."""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.oauth.authorizing import asking
from tests.gateway.world import World

_ONCE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_NAMES = sorted(
    {*asking(), "prompt", "max_age", "acr_values", "claims", "login_hint", "id_token_hint", "response_mode"}
    | {"request", "request_uri", "resource", "registration", "dpop_jkt", "begun", "decision", "form_token"}
)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
_KNOWN = st.sampled_from(
    ["", "none", "login", "0", "form_post", "fragment", "openid", "code", "S256", "{}", "[]", "\0"]
)


def in_order(answer: httpx.Response) -> bool:
    """Refused, shown, or sent on to ourselves or to the registered client."""
    if answer.status_code == 303:
        to = urlsplit(answer.headers["location"])
        return to.netloc == "app.acme.test" or (to.netloc == "" and to.path.startswith("/t/acme/"))
    return 200 <= answer.status_code < 500 and "location" not in answer.headers


@_ONCE
@given(st.dictionaries(st.sampled_from(_NAMES), st.one_of(_KNOWN, _TEXT), max_size=6), st.booleans())
async def test_any_parameters(world: World, changes: dict[str, str], as_form: bool) -> None:
    sent: dict[str, Any] = asking(scope="orders:read") | changes
    async with world.client() as client:
        if as_form:
            assert in_order(await client.post("/t/acme/authorize", data=sent))
        else:
            assert in_order(await client.get(f"/t/acme/authorize?{urlencode(sent)}"))


@_ONCE
@given(_TEXT)
async def test_any_redirect_uri(world: World, text: str) -> None:
    for redirect_uri in (text, f"https://app.acme.test/callback{text}", f"http://127.0.0.1:{text}/callback"):
        query = urlencode(asking(redirect_uri=redirect_uri, response_type="x"), quote_via=quote)
        async with world.client() as client:
            answer = await client.get(f"/t/acme/authorize?{query}")
        registered = redirect_uri == "https://app.acme.test/callback" or answer.status_code == 400
        assert registered or urlsplit(answer.headers["location"]).hostname == "127.0.0.1"

"""Whose forms are taken: a table of what browsers and others say of a request's origin, and of tokens."""

import pytest
from starlette.requests import Request

from gateway.pages import forgery

OURS = "https://auth.example.com"
SECRET = "ylg_mine"
TOKEN = forgery.form_token(SECRET)


def request_with(**headers: str | list[str]) -> Request:
    """With these header fields; a list is a field that comes several times."""
    fields = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return Request({"type": "http", "method": "POST", "headers": fields})


def reason(request: Request, *, secret: str | None = SECRET, presented: str | None = TOKEN) -> str | None:
    try:
        forgery.check(request, public_origin=OURS, secret=secret, presented=presented)
    except forgery.Forged as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"origin": OURS}, None),
        ({"origin": OURS, "sec_fetch_site": "same-origin"}, None),
        ({"sec_fetch_site": "same-origin"}, None),
        ({}, "origin_missing"),
        ({"referer": f"{OURS}/t/acme/login"}, "origin_missing"),
        ({"origin": "null"}, "origin_foreign"),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, "origin_foreign"),
        ({"origin": ""}, "origin_foreign"),
        ({"origin": "https://evil.test"}, "origin_foreign"),
        ({"origin": "https://evil.test", "sec_fetch_site": "same-origin"}, "origin_foreign"),
        ({"origin": "http://auth.example.com"}, "origin_foreign"),
        ({"origin": "https://auth.example.com:8443"}, "origin_foreign"),
        ({"origin": "https://auth.example.com.evil.test"}, "origin_foreign"),
        ({"origin": "https://sub.auth.example.com"}, "origin_foreign"),
        ({"origin": "HTTPS://AUTH.EXAMPLE.COM"}, "origin_foreign"),  # no browser writes it so
        ({"origin": f"{OURS}/"}, "origin_foreign"),
        ({"origin": [OURS, "https://evil.test"]}, "origin_foreign"),
        ({"origin": [OURS, OURS]}, "origin_foreign"),
        ({"origin": f"{OURS} https://evil.test"}, "origin_foreign"),
        ({"sec_fetch_site": "same-site"}, "origin_foreign"),
        ({"sec_fetch_site": "cross-site"}, "origin_foreign"),
        ({"sec_fetch_site": "none"}, "origin_foreign"),
        ({"sec_fetch_site": ""}, "origin_foreign"),
        ({"sec_fetch_site": ["same-origin", "cross-site"]}, "origin_foreign"),
        ({"x_forwarded_host": "evil.test", "origin": "https://evil.test"}, "origin_foreign"),
        ({"host": "evil.test", "origin": "https://evil.test"}, "origin_foreign"),
    ],
)
def test_a_form_comes_from_our_own_origin(headers: dict[str, str | list[str]], expected: str | None) -> None:
    assert reason(request_with(**headers)) == expected


@pytest.mark.parametrize(
    ("secret", "presented", "expected"),
    [
        (SECRET, TOKEN, None),
        (SECRET, None, "form_token_wrong"),
        (SECRET, "", "form_token_wrong"),
        (None, TOKEN, "form_token_wrong"),
        (None, None, "form_token_wrong"),
        (SECRET, forgery.form_token("yss_another_session"), "form_token_wrong"),
        ("yss_another_session", TOKEN, "form_token_wrong"),
        (SECRET, TOKEN[:-1], "form_token_wrong"),
        (SECRET, f"{TOKEN}=", "form_token_wrong"),
        (SECRET, TOKEN.swapcase(), "form_token_wrong"),
        (SECRET, SECRET, "form_token_wrong"),
        (SECRET, "ünïcödé", "form_token_wrong"),
        (SECRET, "\ud800", "form_token_wrong"),
    ],
)
def test_a_form_carries_the_token_of_the_very_cookie(
    secret: str | None, presented: str | None, expected: str | None
) -> None:
    assert reason(request_with(origin=OURS), secret=secret, presented=presented) == expected


def test_the_right_token_does_not_make_up_for_a_foreign_origin() -> None:
    assert reason(request_with(origin="https://evil.test")) == "origin_foreign"


def test_a_token_does_not_tell_the_secret_and_is_the_same_each_time() -> None:
    assert SECRET not in TOKEN
    assert forgery.form_token(SECRET) == TOKEN
    assert len(TOKEN) == 43


def test_a_forged_form_is_403_with_a_code_and_no_detail() -> None:
    with pytest.raises(forgery.Forged) as refused:
        forgery.check(request_with(origin="https://evil.test"), public_origin=OURS, secret=SECRET, presented=TOKEN)

    assert (refused.value.status, refused.value.code) == (403, "request_forged")
    assert "evil" not in str(refused.value.body("id"))

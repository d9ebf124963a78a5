"""The cookies of the pages: their attributes, and that what is not plainly ours is not there."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.pages.cookies import Cookies

HTTPS, HTTP = Cookies("https://auth.example.com"), Cookies("http://localhost:8080")
SECRET = "yss_" + "A-z_0" * 8 + "abc"


def request_with(*headers: str) -> Request:
    """With these Cookie header fields, byte for byte."""
    return Request({"type": "http", "headers": [(b"cookie", header.encode("latin-1")) for header in headers]})


def test_over_https_a_cookie_is_bound_to_the_host() -> None:
    response = Response()
    HTTPS.set(response, "acme", "session", SECRET)

    assert response.headers.getlist("set-cookie") == [
        f"__Host-yett-acme-session={SECRET}; Path=/; HttpOnly; SameSite=Lax; Secure"
    ]


def test_over_plain_http_it_goes_without_what_browsers_would_refuse_there() -> None:
    response = Response()
    HTTP.set(response, "acme", "login", SECRET)

    assert response.headers.getlist("set-cookie") == [f"yett-acme-login={SECRET}; Path=/; HttpOnly; SameSite=Lax"]


def test_a_cookie_lasts_as_long_as_it_is_told() -> None:
    response = Response()
    HTTPS.set(response, "acme", "device", SECRET, max_age=15552000)

    assert response.headers["set-cookie"] == (
        f"__Host-yett-acme-device={SECRET}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=15552000"
    )


@pytest.mark.parametrize(("cookies", "prefix", "secure"), [(HTTPS, "__Host-", "; Secure"), (HTTP, "", "")])
def test_a_cookie_is_cleared_with_the_attributes_that_it_was_set_with(
    cookies: Cookies, prefix: str, secure: str
) -> None:
    response = Response()
    cookies.clear(response, "acme", "session")

    assert response.headers["set-cookie"] == (
        f"{prefix}yett-acme-session=; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age=0"
    )


def test_several_cookies_go_out_side_by_side() -> None:
    response = Response()
    HTTPS.set(response, "acme", "session", SECRET)
    HTTPS.clear(response, "acme", "login")

    assert len(response.headers.getlist("set-cookie")) == 2


@pytest.mark.parametrize("value", ["", "a" * 101, "a b", "a;Path=/x", "a\r\nSet-Cookie: b=c", "é", '"a"', "a\n"])
def test_nothing_else_than_a_secret_is_set(value: str) -> None:
    with pytest.raises(ValueError, match="cookie"):
        HTTPS.set(Response(), "acme", "session", value)


@pytest.mark.parametrize(
    "headers",
    [
        (f"__Host-yett-acme-session={SECRET}",),
        (f"a=b; __Host-yett-acme-session={SECRET}; c=d",),
        (f"  __Host-yett-acme-session =\t{SECRET}  ",),
        ("a=b", f"__Host-yett-acme-session={SECRET}"),
        (f"=;;; ;garbage; __Host-yett-acme-session={SECRET}; =x",),
        (f"__Host-yett-acme-login=x; __Host-yett-globex-session=y; __Host-yett-acme-session={SECRET}",),
    ],
)
def test_it_is_found_among_others(headers: tuple[str, ...]) -> None:
    assert HTTPS.read(request_with(*headers), "acme", "session") == SECRET


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("",),
        ("__Host-yett-acme-session",),
        ("__Host-yett-acme-session=",),
        (f"__Host-yett-acme-session={'a' * 101}",),
        ('__Host-yett-acme-session="quoted"',),
        ("__Host-yett-acme-session=a%20b",),
        ("__Host-yett-acme-session=a=b",),
        ("__Host-yett-acme-session=a,b",),
        ("__Host-yett-acme-session=\xe9",),
        ("__Host-yett-acme-session=a\x00b",),
        ("__Host-yett-acme-session=a\n",),
        (f"yett-acme-session={SECRET}",),  # anybody on a subdomain can set one without the prefix
        (f"__host-yett-acme-session={SECRET}",),
        (f"__Host-yett-acme-SESSION={SECRET}",),
        (f"__Host-yett-globex-session={SECRET}",),
        (f"__Host-yett-acme-login={SECRET}",),
        (f"\xa0__Host-yett-acme-session={SECRET}",),
        (f"\x85__Host-yett-acme-session={SECRET}",),
        (f"x__Host-yett-acme-session={SECRET}",),
        (f"a=b,__Host-yett-acme-session={SECRET}",),
    ],
)
def test_what_is_not_plainly_ours_is_absent(headers: tuple[str, ...]) -> None:
    assert HTTPS.read(request_with(*headers), "acme", "session") is None


@pytest.mark.parametrize(
    "headers",
    [
        (f"__Host-yett-acme-session={SECRET}; __Host-yett-acme-session=planted",),
        (f"__Host-yett-acme-session={SECRET}", "__Host-yett-acme-session=planted"),
        (f"__Host-yett-acme-session={SECRET}; __Host-yett-acme-session={SECRET}",),
        (f"__Host-yett-acme-session={SECRET}; __Host-yett-acme-session",),
    ],
)
def test_of_two_with_one_name_neither_is_believed(headers: tuple[str, ...]) -> None:
    assert HTTPS.read(request_with(*headers), "acme", "session") is None


def test_the_prefix_belongs_to_https_alone() -> None:
    assert HTTP.read(request_with(f"__Host-yett-acme-session={SECRET}"), "acme", "session") is None
    assert HTTP.read(request_with(f"yett-acme-session={SECRET}"), "acme", "session") == SECRET

"""Which pages may read an answer; what browsers send as an origin is in tests/gateway/oauth/test_cors.py."""

import pytest

from policies.web_origin import allowed

LISTED = frozenset({"https://app.example.com", "https://app.example.com:8443", "http://localhost:*", "http://[::1]:*"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "https://app.example.com:8443",
        "http://localhost",
        "http://localhost:1",
        "http://[::1]:3000",
    ],
)
def test_what_is_listed_is_allowed(origin: str) -> None:
    assert allowed(origin, LISTED)


@pytest.mark.parametrize(
    "origin",
    [
        *("", "null", "*", "http://localhost:*", "https://localhost:3000", "http://127.0.0.1:3000"),
        *("https://app.example.com:9443", "https://APP.example.com", "https://app.example.com.evil.test"),
        *("http://localhost:3000/", "http://localhost:3000@evil.test", "http://localhost:99999", "http://[::1"),
    ],
)
def test_nothing_else_is(origin: str) -> None:
    assert not allowed(origin, LISTED)

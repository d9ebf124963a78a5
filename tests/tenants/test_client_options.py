"""Addresses that a client registers for us to call: https, or http to a loopback host."""

import pytest

from tenants.client_options import ClientOptions
from tenants.errors import InvalidValue

CALLED = ("jwks_uri", "backchannel_logout_uri")


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize("uri", ["https://rp.example/x", "https://rp.example:8443/x?a=b", "http://127.0.0.1:9000/x"])
def test_an_address_that_we_call_is_kept_as_it_is(name: str, uri: str) -> None:
    assert getattr(ClientOptions(**{name: uri}).checked(), name) == uri  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CALLED)
@pytest.mark.parametrize(
    "uri",
    [
        "http://rp.example/x",
        "http://localhost.evil.test/x",
        "ftp://rp.example/x",
        "//rp.example/x",
        "/x",
        "https://rp.example/x#fragment",
        "https://user@rp.example/x",
        "",
    ],
)
def test_any_other_address_is_refused(name: str, uri: str) -> None:
    with pytest.raises(InvalidValue, match=name):
        ClientOptions(**{name: uri}).checked()  # type: ignore[arg-type]

"""Issuers with a host of their own: the one spelling that they have, and which ``Host`` stands for which."""

import pytest

from policies import issuer


@pytest.mark.parametrize(
    "good",
    [
        "https://login.acme.example",
        "https://xn--bcher-kva.example",
        "https://intranet",
        "https://a.b.c.d.e.example",
        "https://1.example",
        "https://0xcafe.example",
        f"https://{'a' * 63}.example",
        "http://localhost",
        "http://localhost:8080",
        "http://acme.localhost:8080",
        "http://acme.localhost",
        "http://localhost:65535",
    ],
)
def test_an_own_host_is_a_name_and_nothing_behind_it(good: str) -> None:
    assert issuer.fault(good) is None
    host = issuer.own_host(good)
    assert host is not None
    assert issuer.at(host) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "login.acme.example",
        "https:login.acme.example",
        "https://",
        "//login.acme.example",
        "https://login.acme.example/",
        "https://login.acme.example/t/acme",
        "https://login.acme.example?x",
        "https://login.acme.example#x",
        "https://login.acme.example:443",
        "https://login.acme.example:8443",
        "https://login.acme.example:",
        "https://user@login.acme.example",
        "https://login.acme.example@evil.example",
        "https://Login.acme.example",
        "HTTPS://login.acme.example",
        "https://login.acme.example.",
        "https://.acme.example",
        "https://login..example",
        "https://-login.example",
        "https://login-.example",
        "https://login_acme.example",
        "https://*.acme.example",
        "https://login.acme.example ",
        " https://login.acme.example",
        "https://login.acme.example\n",
        "https://login%2eacme.example",
        "https://login.acme.example\\t",
        "https://b\u00fccher.example",
        "https://login\u3002acme.example",
        "https://127.0.0.1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://login.0x7f",
        "https://[::1]",
        f"https://{'a' * 64}.example",
        f"https://{'.'.join(['a' * 60] * 5)}",
        "http://login.acme.example",
        "http://127.0.0.1:8080",
        "http://localhost.evil.example",
        "http://evillocalhost",
        "http://localhost:0",
        "http://localhost:08080",
        "http://localhost:65536",
        "http://localhost:8080/",
        "https://localhost",
        "https://acme.localhost",
        "ftp://login.acme.example",
        "javascript://login.acme.example",
    ],
)
def test_every_other_spelling_is_refused_and_none_is_mended(bad: str) -> None:
    assert issuer.fault(bad) is not None


def test_an_issuer_below_a_shared_address_has_no_host_to_itself() -> None:
    assert issuer.own_host("https://auth.example.com/t/acme") is None
    assert issuer.own_host("http://localhost:8080/t/acme") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("login.acme.example", "https://login.acme.example"),
        ("login.acme.example:443", "https://login.acme.example"),
        ("login.acme.example:8443", "https://login.acme.example"),
        ("acme.localhost:8080", "http://acme.localhost:8080"),
    ],
)
def test_a_port_behind_a_name_says_nothing(host: str, expected: str) -> None:
    assert issuer.at(host) == expected


@pytest.mark.parametrize(
    "host", ["login.acme.example.", "login.acme.example:", "login.acme.example:x", "a@b", "", ":1"]
)
def test_what_is_no_host_is_the_address_of_no_issuer(host: str) -> None:
    assert issuer.fault(issuer.at(host)) is not None

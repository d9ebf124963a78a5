"""What a browser says of itself is told in a few words of ours; a hostile one gets no word in."""

import pytest

from gateway.account.user_agent import UNKNOWN, summary

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BLINK} Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BLINK} Safari/537.36 Edg/142.0.0.0", "Edge on Windows"),
        (f"{_MAC} {_BLINK} Safari/537.36 OPR/120.0.0.0", "Opera on Mac"),
        (f"{_MAC} {_WEBKIT} Version/26.0 Safari/605.1.15", "Safari on Mac"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) {_WEBKIT} Version/26.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) {_WEBKIT} CriOS/142.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (f"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) {_WEBKIT} FxiOS/140.0 Safari/605.1.15", "Firefox on iPad"),
        (f"Mozilla/5.0 (Linux; Android 15; K) {_BLINK} Mobile Safari/537.36", "Chrome on Android"),
        (
            f"Mozilla/5.0 (Linux; Android 15; SM-S921B) {_BLINK} SamsungBrowser/28.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_BLINK} Safari/537.36", "Chrome on ChromeOS"),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) SomethingNew/1.0", "Browser on Linux"),
        ("Mozilla/5.0 Firefox/150.0", "Firefox"),
        ("curl/8.14.1", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("okhttp", "okhttp"),
    ],
)
def test_a_browser_and_its_system_are_named(user_agent: str, words: str) -> None:
    assert summary(user_agent) == words


@pytest.mark.parametrize(
    "user_agent",
    [
        "",
        "Mozilla/5.0",
        "<script>alert(1)</script>",
        "Your account is locked, call +1 555 0100",
        "a" * 41,
        "évil/1.0",
        " curl/8",
        "/",
    ],
)
def test_what_says_neither_is_unknown(user_agent: str) -> None:
    assert summary(user_agent) == UNKNOWN


def test_only_a_plain_token_of_a_strange_program_is_shown() -> None:
    assert summary("evil/<b>") == "evil"
    assert summary("evil <b>") == UNKNOWN

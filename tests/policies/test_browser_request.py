"""When a cookie speaks for its person, who is sent to log in, and where they go afterwards."""

from typing import Any

import pytest

from policies.browser_request import SAFE_METHODS, Sent, may_use_cookie, return_address
from policies.decision import Allow, Deny

OWN = "https://app.example.com"
ALLOW = Allow()
FOREIGN = Deny("origin_foreign")
SITE = Deny("site_foreign")


def sent(method: str = "GET", **fields: Any) -> Sent:
    return Sent(method, OWN, **fields)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("fields", "decision"),
    [
        ({"origins": (OWN,)}, ALLOW),
        ({"origins": (OWN,), "sites": ("same-origin",)}, ALLOW),
        ({"sites": ("same-origin",)}, ALLOW),
        ({"origins": ("https://evil.example",)}, FOREIGN),
        ({"origins": ("https://sub.app.example.com",)}, FOREIGN),
        ({"origins": ("http://app.example.com",)}, FOREIGN),
        ({"origins": (f"{OWN}:8443",)}, FOREIGN),
        ({"origins": (OWN.upper(),)}, FOREIGN),
        ({"origins": ("null",), "sites": ("same-origin",)}, ALLOW),
        ({"origins": ("null",), "sites": ("same-origin",), "modes": ("navigate",)}, ALLOW),
        ({"origins": ("null",)}, FOREIGN),
        ({"origins": ("null",), "sites": ("cross-site",)}, FOREIGN),
        ({"origins": ("null",), "sites": ("same-site",)}, FOREIGN),
        ({"origins": ("null",), "sites": ("none",)}, FOREIGN),
        ({"origins": ("null",), "sites": ("same-origin", "cross-site")}, FOREIGN),
        ({"origins": ("null", "null"), "sites": ("same-origin",)}, FOREIGN),
        ({"origins": ("https://evil.example",), "sites": ("same-origin",)}, FOREIGN),
        ({"origins": (OWN, OWN)}, FOREIGN),
        ({"origins": (OWN, "https://evil.example")}, FOREIGN),
        ({"sites": ("same-site",)}, FOREIGN),
        ({"sites": ("none",)}, FOREIGN),
        ({"sites": ("cross-site",)}, FOREIGN),
        ({"sites": ("same-origin", "same-origin")}, FOREIGN),
        ({"sites": ("same-site",), "modes": ("navigate",)}, FOREIGN),
        ({}, Deny("origin_missing")),
    ],
)
def test_what_changes_something_needs_the_browsers_word(
    method: str, fields: dict[str, Any], decision: Allow | Deny
) -> None:
    assert may_use_cookie(sent(method, **fields)) == decision


@pytest.mark.parametrize("method", sorted(SAFE_METHODS))
@pytest.mark.parametrize(
    ("fields", "decision"),
    [
        ({}, ALLOW),
        ({"sites": ("same-origin",)}, ALLOW),
        ({"sites": ("none",)}, ALLOW),
        ({"origins": (OWN,)}, ALLOW),
        ({"sites": ("same-site",), "modes": ("cors",)}, SITE),
        ({"sites": ("cross-site",), "modes": ("no-cors",)}, SITE),
        ({"sites": ("same-site",), "modes": ("websocket",)}, SITE),
        ({"origins": ("https://evil.example",)}, SITE),
        ({"sites": ("same-origin", "cross-site")}, SITE),
    ],
)
def test_what_reads_must_not_be_another_sites(method: str, fields: dict[str, Any], decision: Allow | Deny) -> None:
    assert may_use_cookie(sent(method, **fields)) == decision


def test_a_person_may_follow_a_link_from_anywhere() -> None:
    assert may_use_cookie(sent(sites=("cross-site",), modes=("navigate",))) == ALLOW


@pytest.mark.parametrize(
    ("method", "fields", "navigates"),
    [
        ("GET", {"modes": ("navigate",)}, True),
        ("GET", {"modes": ("navigate",), "accept": "*/*"}, True),
        ("GET", {"accept": "text/html,application/xhtml+xml"}, True),
        ("GET", {"modes": ("cors",), "accept": "text/html"}, False),
        ("GET", {"modes": ("navigate", "navigate"), "accept": "text/html"}, False),
        ("GET", {"accept": "application/json"}, False),
        ("GET", {}, False),
        ("POST", {"modes": ("navigate",)}, False),
        ("HEAD", {"modes": ("navigate",)}, False),
    ],
)
def test_only_who_goes_there_is_sent_elsewhere(method: str, fields: dict[str, Any], navigates: bool) -> None:
    assert sent(method, **fields).navigates is navigates


@pytest.mark.parametrize(
    ("path", "query", "address"),
    [
        ("/", "", "/"),
        ("/a/b", "c=d&e=%2F", "/a/b?c=d&e=%2F"),
        ("/a", "x" * 1000, "/a"),
        ("/" + "a" * 1000, "b", "/"),
        ("//evil.example", "", "/"),
        ("/\\evil.example", "", "/"),
        ("/a", "b\\c", "/a"),
        ("/a", "b c", "/a"),
        ("/a", "b\r\nSet-Cookie: x", "/a"),
        ("/a", "\u00e9", "/a"),
        ("/a", '"<>', "/a"),
        ("https://evil.example", "", "/"),
    ],
)
def test_the_way_back_is_a_path_of_this_origin(path: str, query: str, address: str) -> None:
    assert return_address(path, query) == address

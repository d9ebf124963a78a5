"""What an application may have of a logout: its own name, its own addresses, and the end of the session it knows."""

import pytest

from policies.decision import Allow, Challenge, Deny
from policies.logout import CONFIRM_STEP, Hint, client_of, may_end, may_return

HINT = Hint("alice", "app", "session-1")


@pytest.mark.parametrize(
    ("named", "hint", "client"),
    [
        (None, None, None),
        ("app", None, "app"),
        (None, HINT, "app"),
        ("app", HINT, "app"),
        ("other", HINT, Deny("client_mismatch")),
        ("", HINT, Deny("client_mismatch")),
        ("App", HINT, Deny("client_mismatch")),
    ],
)
def test_the_hints_client_is_who_asks_and_no_other_may_be_named(
    named: str | None, hint: Hint | None, client: object
) -> None:
    assert client_of(named, hint) == client


REGISTERED = (
    "https://app.example.com/bye",
    "http://127.0.0.1/bye",
    "com.example.app:/bye",
    "https://app.example.com/?a=b",
)


@pytest.mark.parametrize("address", REGISTERED)
def test_an_address_that_was_registered_is_returned_to(address: str) -> None:
    assert may_return(address, registered=REGISTERED) == Allow()
    assert may_return(address, registered=()) == Deny("post_logout_redirect_uri_unregistered")
    assert may_return(address, registered=None) == Deny("client_unknown")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "https://app.example.com/bye/",
        "https://app.example.com/bye?x=1",
        "https://app.example.com/bye#x",
        "https://app.example.com/bye ",
        " https://app.example.com/bye",
        "https://app.example.com/bye\n",
        "https://app.example.com/Bye",
        "https://APP.example.com/bye",
        "HTTPS://app.example.com/bye",
        "https://app.example.com:443/bye",
        "https://app.example.com/./bye",
        "https://app.example.com/x/../bye",
        "https://app.example.com/%62ye",
        "https://app.example.com.evil.example/bye",
        "https://app.example.com@evil.example/bye",
        "https://app.example.com\\@evil.example/bye",
        "https://evil.example/https://app.example.com/bye",
        "//app.example.com/bye",
        "/bye",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://app.example.com/bye",
        "http://127.0.0.1:8000/bye",  # RFC 8252's ports are of redirect_uri only
        "http://localhost/bye",
        "com.example.app:/bye/x",
        "com.example.app://bye",
        "https://app.example.com/",
        "https://app.example.com/?a=b&c=d",
        "",
    ],
)
def test_an_address_in_any_other_spelling_is_none(address: str) -> None:
    assert may_return(address, registered=REGISTERED) == Deny("post_logout_redirect_uri_unregistered")


@pytest.mark.parametrize(
    "hint",
    [
        None,
        Hint("alice", "app", "session-2"),
        Hint("bob", "app", "session-1"),
        Hint("alice", "app", None),
        Hint("alice", "app", ""),
    ],
)
def test_only_the_id_token_of_this_very_session_spares_the_question(hint: Hint | None) -> None:
    assert may_end(HINT, session_id="session-1", subject="alice") == Allow()
    assert may_end(hint, session_id="session-1", subject="alice") == Challenge(CONFIRM_STEP)

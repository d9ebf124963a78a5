"""Scopes: the grammar of RFC 6749 section 3.3, and what is granted."""

import pytest

from policies.decision import Deny
from policies.scope import MAX_LENGTH, OPENID, Granted, canonical, granted, is_scope_token, of_user, parse

CLIENT = frozenset({"orders:read", "orders:write", "admin"})
DEFAULT = frozenset({"orders:read", "orders:write"})
ALICE = frozenset({"orders:read", "orders:write", "admin"})
BOB = frozenset({"orders:read"})


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("a", {"a"}),
        ("a b", {"a", "b"}),
        ("b a b", {"a", "b"}),
        ("orders:read https://api.example.com/x!#[]^~", {"orders:read", "https://api.example.com/x!#[]^~"}),
    ],
)
def test_a_list_of_scope_tokens_is_parsed(text: str, scopes: set[str]) -> None:
    assert parse(text) == scopes


@pytest.mark.parametrize(
    "text",
    ["", " ", " a", "a ", "a  b", "a\tb", "a\nb", 'a"b', "a\\b", "é", "a\0", "a\x7f", "\ud800", "a" * (MAX_LENGTH + 1)],
)
def test_what_breaks_the_grammar_is_invalid(text: str) -> None:
    assert parse(text) == Deny("invalid_scope")
    assert not is_scope_token(text)


def test_one_scope_token_has_no_space() -> None:
    assert is_scope_token("orders:read")
    assert not is_scope_token("a b")


def test_the_canonical_form_is_sorted() -> None:
    assert canonical(["b", "a", "c", "a"]) == "a b c"
    assert canonical([]) == ""


@pytest.mark.parametrize(
    ("asked", "user", "expected"),
    [
        ("orders:read", ALICE, {"orders:read"}),
        ("admin orders:read", ALICE, {"admin", "orders:read"}),
        ("admin orders:read", BOB, {"orders:read"}),
        ("orders:read nobody:knows", ALICE, {"orders:read"}),
        ("orders:read", None, {"orders:read"}),
        (None, ALICE, DEFAULT),
        ("", ALICE, DEFAULT),
        (None, BOB, {"orders:read"}),
        (None, frozenset(), set()),
        (None, None, DEFAULT),
    ],
)
def test_what_is_granted(asked: str | None, user: frozenset[str] | None, expected: set[str]) -> None:
    result = granted(asked, client_scopes=CLIENT, default_scopes=DEFAULT, user_scopes=user)
    assert result == Granted(frozenset(expected))


@pytest.mark.parametrize("asked", ["admin", "nobody:knows", "a  b"])
def test_nothing_of_what_was_asked_is_invalid_scope(asked: str) -> None:
    result = granted(asked, client_scopes=CLIENT, default_scopes=DEFAULT, user_scopes=BOB)
    assert isinstance(result, Deny)
    assert result.reason == "invalid_scope"


def test_defaults_never_exceed_what_the_client_may_have() -> None:
    result = granted(None, client_scopes=BOB, default_scopes=ALICE, user_scopes=None)
    assert result == Granted(BOB)


def test_a_user_may_have_what_their_roles_hold_and_what_openid_connect_names() -> None:
    assert of_user(BOB) == BOB | {"openid", "profile", "email", "offline_access", "groups", "roles"}
    assert of_user(frozenset()) == OPENID

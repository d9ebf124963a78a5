"""What pages of other origins may: what their route says, and where nobody knows which route, what any of them says."""

import pytest

from policies.cross_origin import PageRules, PageRulesOfAny, PageRulesOfSome

APP, SHOP, EVIL = "https://app.example.com", "https://shop.example.com", "https://evil.test"
NONE: frozenset[str] = frozenset()


def rules(*origins: str, **options: object) -> PageRules:
    return PageRules(frozenset(origins), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "origin", "may"),
    [
        (rules(APP), APP, True),
        (rules(APP), EVIL, False),
        (rules(), APP, False),
        (rules("http://localhost:*"), "http://localhost:5173", True),
        (rules("*"), EVIL, True),
        (rules("*"), "null", True),
        (rules(), SHOP, False),
        (rules(registered=True), SHOP, True),
        (rules(APP, registered=True), APP, True),
        (rules(registered=True), EVIL, False),
        (rules(registered=True), "*", False),
    ],
)
def test_which_pages_a_route_lets_in(found: PageRules, origin: str, may: bool) -> None:
    assert (found.find(origin, {SHOP}) is found) is may
    assert (PageRulesOfSome([found]).find(origin, {SHOP}) is not None) is may


@pytest.mark.parametrize("options", [{"registered": True}, {"origins": frozenset({"*"})}])
def test_cookies_are_for_listed_pages_only(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="listed"):
        PageRules(credentials=True, **options)  # type: ignore[arg-type]


def test_of_several_routes_any_may_let_a_page_in() -> None:
    some = PageRulesOfSome([rules(APP), rules(SHOP), rules(APP), None])
    assert some.any
    assert some.find(APP, NONE) is not None
    assert some.find(SHOP, NONE) is not None
    assert some.find(EVIL, NONE) is None


def test_what_they_allow_to_one_page_adds_up() -> None:
    some = PageRulesOfSome([rules(APP, headers=("X-A",), max_age=60), rules(APP, headers=("X-B",), expose=("ETag",))])
    found = some.find(APP, NONE)
    assert found is not None
    assert (found.headers, found.expose, found.max_age) == (("X-A", "X-B"), ("ETag",), 60)


WITH = rules(APP, credentials=True)


@pytest.mark.parametrize(
    ("others", "may"),
    [
        ([], True),
        ([rules(APP, SHOP, credentials=True)], True),
        ([rules(APP)], False),
        ([None], False),
        ([rules(SHOP, credentials=True)], False),
        ([rules("*")], False),
        ([rules(registered=True)], False),
    ],
)
def test_credentials_are_allowed_where_each_route_allows_them(others: list[PageRules | None], may: bool) -> None:
    for some in (
        PageRulesOfSome([WITH, *others]),
        PageRulesOfAny([PageRulesOfSome([WITH]), *(PageRulesOfSome([one]) for one in others)]),
    ):
        found = some.find(APP, {APP})
        assert found is not None
        assert found.credentials is may


def test_a_page_that_one_lists_and_another_registered_is_let_in_without_being_every_page() -> None:
    some = PageRulesOfSome([rules(APP), rules(registered=True), rules("*", headers=())])
    app, evil = some.find(APP, {APP}), some.find(EVIL, NONE)
    assert app is not None
    assert evil is not None
    assert ("*" in app.origins, app.headers) == (False, None)
    assert ("*" in evil.origins, evil.headers) == (True, ())


def test_where_none_has_rules_nobody_is_let_in() -> None:
    some = PageRulesOfSome([])
    assert not some.any
    assert some.find(APP, {APP}) is None

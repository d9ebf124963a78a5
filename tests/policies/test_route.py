"""The route table: the most specific route answers, whatever the order, and nothing looser in its place."""

import itertools
import os
import re
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import candidates, path_automaton
from policies.cross_origin import PageRules
from policies.path import NotCanonical
from policies.path_automaton import Entangled
from policies.pattern import BadPattern
from policies.route import ANY_METHOD, DelimiterRefused, Match, Matched, MethodNotAllowed, NotFound, Route
from policies.route_table import Ambiguous, RouteTable
from policies.rule import Anonymous, Rule, Scopes

READ = Scopes(frozenset({"orders:read"}))
HOST = "api.example.com"
SOAK = bool(os.environ.get("YETT_TEST_SOAK"))


def route(
    name: str,
    pattern: str,
    *methods: str,
    tenants: set[str] | None = None,
    hosts: tuple[str, ...] = (HOST,),
    rule: Rule = READ,
    **options: Any,
) -> Route:
    return Route(
        name=name,
        hosts=hosts,
        pattern=pattern,
        rule=rule,
        upstream="orders",
        methods=frozenset(methods),
        tenants=None if tenants is None else frozenset(tenants),
        **options,
    )


def table(*routes: Route) -> RouteTable:
    return RouteTable.compile(routes)


def name_of(found: Match) -> str | None:
    return found.route.name if isinstance(found, Matched) else None


def ask(
    routes: RouteTable, path: str, method: str = "GET", tenant: str | None = "acme", host: str = HOST
) -> str | None:
    return name_of(routes.match(host, method, path.encode(), tenant))


DESIGN = (
    route("orders-read", "/orders/**", "GET"),
    route("orders-write", "/orders/**", "POST", tenants={"acme"}),
    route("health", "/orders/healthz", rule=Anonymous()),
)


@pytest.mark.parametrize("order", list(itertools.permutations(DESIGN)))
def test_the_example_of_the_design_in_any_order(order: tuple[Route, ...]) -> None:
    routes = table(*order)
    assert ask(routes, "/orders/7") == "orders-read"
    assert ask(routes, "/orders/7", "POST") == "orders-write"
    assert ask(routes, "/orders/healthz") == "health"
    assert ask(routes, "/orders/healthz", tenant=None) == "health"
    assert ask(routes, "/orders/7", tenant="globex") == "orders-read"
    assert routes.match(HOST, "POST", b"/orders/7", "globex") == MethodNotAllowed(("GET", "HEAD"))
    assert routes.match(HOST, "DELETE", b"/orders/7", "acme") == MethodNotAllowed(("GET", "HEAD", "POST"))


@pytest.mark.parametrize("path", ["/orders", "/orders/", "/orders/7", "/orders/7/items/1", "/orders/7/"])
def test_a_deep_pattern_matches_itself_and_what_is_below(path: str) -> None:
    assert ask(table(route("r", "/orders/**")), path) == "r"


@pytest.mark.parametrize("path", ["/ordersx", "/orders.json", "/order", "/", "/x/orders", "/ORDERS"])
def test_a_deep_pattern_ends_on_a_segment(path: str) -> None:
    assert ask(table(route("r", "/orders/**")), path) is None


def test_a_trailing_slash_is_another_path() -> None:
    routes = table(route("without", "/a"), route("with", "/a/"), route("param", "/b/{id}"))
    assert ask(routes, "/a") == "without"
    assert ask(routes, "/a/") == "with"
    assert ask(routes, "/b/1/") is None


def test_a_parameter_is_never_empty() -> None:
    routes = table(route("r", "/files/{key}"))
    assert ask(routes, "/files/") is None
    assert ask(routes, "/files") is None
    found = routes.match(HOST, "GET", b"/files/a%20b", None)
    assert isinstance(found, Matched)
    assert found.params == {"key": "a b"}


def test_parameters_of_several_segments() -> None:
    found = table(route("r", "/a/{x}/b/{y}/**")).match(HOST, "GET", b"/a/1/b/2/c/d", None)
    assert isinstance(found, Matched)
    assert found.params == {"x": "1", "y": "2"}


def test_the_root_is_a_path() -> None:
    assert ask(table(route("root", "/")), "/") == "root"
    assert ask(table(route("root", "/")), "/a") is None
    assert ask(table(route("all", "/**")), "/") == "all"


@pytest.mark.parametrize(
    ("stricter", "looser", "path"),
    [
        ("/a/b", "/a/{x}", "/a/b"),
        ("/a/{x}", "/a/**", "/a/b"),
        ("/a/{x}", "/{y}/{z}", "/a/b"),
        ("/{x}/{y}", "/{x}/**", "/a/b"),
        ("/a", "/a/**", "/a"),
        ("/a/b/**", "/a/**", "/a/b/c"),
        ("/a/{x}/c", "/a/b/**", "/a/b/c"),
        ("/a/**", "/{x}/{y}/{z}", "/a/b/c"),
        ("/a/**", "/**", "/a"),
    ],
)
def test_the_more_specific_path_wins(stricter: str, looser: str, path: str) -> None:
    for routes in (table(route("s", stricter), route("l", looser)), table(route("l", looser), route("s", stricter))):
        assert ask(routes, path) == "s"


def test_a_known_path_never_falls_to_a_looser_route() -> None:
    routes = table(route("strict", "/orders/special", "POST"), route("loose", "/orders/**", "GET", rule=Anonymous()))
    assert routes.match(HOST, "GET", b"/orders/special", None) == MethodNotAllowed(("POST",))
    assert ask(routes, "/orders/other") == "loose"


def test_a_tenant_bound_path_shuts_a_looser_one_for_that_tenant_only() -> None:
    routes = table(route("bound", "/orders/special", "POST", tenants={"acme"}), route("loose", "/orders/**", "GET"))
    assert routes.match(HOST, "GET", b"/orders/special", "acme") == MethodNotAllowed(("POST",))
    assert ask(routes, "/orders/special", tenant="globex") == "loose"


def test_tenants_come_before_the_path() -> None:
    routes = table(route("bound", "/orders/**", tenants={"acme"}), route("any", "/orders/{id}"))
    assert ask(routes, "/orders/7", tenant="acme") == "bound"
    assert ask(routes, "/orders/7", tenant="globex") == "any"


def test_hosts_come_before_tenants() -> None:
    routes = table(route("bound", "/a", tenants={"acme"}, hosts=("*",)), route("host", "/a"))
    assert ask(routes, "/a", tenant="acme") == "host"
    assert ask(routes, "/a", tenant="acme", host="else.example.com") == "bound"


def test_a_route_of_another_tenant_is_not_there() -> None:
    assert table(route("bound", "/a", tenants={"acme"})).match(HOST, "GET", b"/a", "globex") == NotFound()


def test_without_a_token_any_tenant_routes_come_first_and_bound_ones_still_match() -> None:
    routes = table(
        route("bound", "/a", "GET", tenants={"acme"}),
        route("any", "/**", "GET", rule=Anonymous()),
        route("write", "/**", "POST", tenants={"globex"}),
    )
    assert ask(routes, "/a", tenant=None) == "any"
    assert ask(routes, "/a", "POST", tenant=None) == "write"
    assert ask(routes, "/a", "POST", tenant="acme") is None
    assert routes.match(HOST, "PUT", b"/a", None) != NotFound()
    assert ask(table(route("bound", "/a", tenants={"acme"})), "/a", tenant=None) == "bound"


def test_it_is_told_whether_a_tenant_would_change_the_route() -> None:
    routes = table(route("bound", "/a/**", tenants={"acme"}), route("any", "/**", rule=Anonymous()))
    inside, outside = (routes.match(HOST, "GET", path, None) for path in (b"/a/x", b"/b"))
    assert isinstance(inside, Matched)
    assert isinstance(outside, Matched)
    assert (inside.tenant_decides, outside.tenant_decides) == (True, False)


def test_get_brings_head_and_a_named_head_goes_first() -> None:
    assert ask(table(route("get", "/a", "GET")), "/a", "HEAD") == "get"
    assert ask(table(route("get", "/a", "GET"), route("head", "/a", "HEAD")), "/a", "HEAD") == "head"
    assert table(route("post", "/a", "POST")).match(HOST, "HEAD", b"/a", None) == MethodNotAllowed(("POST",))


def test_named_methods_are_more_specific_than_any() -> None:
    routes = table(route("any", "/a"), route("get", "/a", "GET"))
    assert ask(routes, "/a", "GET") == "get"
    assert ask(routes, "/a", "HEAD") == "get"
    assert ask(routes, "/a", "PUT") == "any"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "PROPFIND", "", "GET "])
def test_any_method_is_not_every_word(method: str) -> None:
    assert table(route("r", "/a")).match(HOST, method, b"/a", None) == MethodNotAllowed(tuple(sorted(ANY_METHOD)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (route("one", "/a"), route("other", "/a")),
        (route("one", "/a", "GET"), route("other", "/a", "GET", "POST")),
        (route("one", "/a/{x}"), route("other", "/a/{y}")),
        (route("one", "/a/{x}"), route("other", "/{y}/b")),
        (route("one", "/a/{x}/**"), route("other", "/{x}/b/**")),
        (route("one", "/a", tenants={"acme"}), route("other", "/a", tenants={"acme", "globex"})),
        (route("one", "/a", hosts=("x.test", "y.test")), route("other", "/a", hosts=("y.test",))),
        (route("one", "/a", hosts=("X.test",)), route("other", "/a", hosts=("x.TEST",))),
        (route("one", "/caf%C3%A9"), route("other", "/caf\u00e9")),
    ],
)
def test_a_tie_is_an_error(one: Route, other: Route) -> None:
    with pytest.raises(Ambiguous) as tie:
        table(one, other)
    assert set(tie.value.routes) == {"one", "other"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (route("one", "/a", "GET"), route("other", "/a", "POST")),
        (route("one", "/a"), route("other", "/a", tenants={"acme"})),
        (route("one", "/a", tenants={"acme"}), route("other", "/a", tenants={"globex"})),
        (route("one", "/a", hosts=("x.test",)), route("other", "/a", hosts=("y.test",))),
        (route("one", "/a/{x}"), route("other", "/b/{x}")),
        (route("one", "/a/{x}/c"), route("other", "/{x}/b/d")),
        (route("one", "/a/{x}", "GET"), route("other", "/{y}/b", "POST")),
    ],
)
def test_what_no_request_can_mean_both_of_is_no_tie(one: Route, other: Route) -> None:
    table(one, other)


def test_a_third_route_settles_a_tie() -> None:
    routes = table(route("one", "/a/{x}"), route("other", "/{y}/b"), route("both", "/a/b"))
    assert [ask(routes, path) for path in ("/a/c", "/c/b", "/a/b")] == ["one", "other", "both"]


def test_a_third_route_of_one_tenant_settles_it_for_that_tenant_only() -> None:
    with pytest.raises(Ambiguous):
        table(route("one", "/a/{x}"), route("other", "/{y}/b"), route("both", "/a/b", tenants={"acme"}))


def test_tied_patterns_share_their_methods() -> None:
    routes = table(route("one", "/a/{x}", "GET"), route("other", "/{y}/b", "POST"))
    assert ask(routes, "/a/b", "POST") == "other"
    assert routes.match(HOST, "PUT", b"/a/b", None) == MethodNotAllowed(("GET", "HEAD", "POST"))


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "a/**",
        "/a/**/b",
        "/**/a",
        "/a*",
        "/*",
        "/{}",
        "/{a-b}",
        "/{a}/{a}",
        "/x{a}",
        "/{a",
        "/a//b",
        "//",
        "/a//**",
        "/..",
        "/a/./b",
        "/a;b",
        "/a%2fb",
        "/a\\b",
        "/a?b",
        "***",
        "/{a}}",
    ],
)
def test_a_pattern_that_no_path_can_meet_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        route("r", pattern)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_trace_and_connect_cannot_be_configured(method: str) -> None:
    with pytest.raises(BadPattern):
        route("r", "/a", method)


def test_a_route_without_host_or_tenant_is_refused() -> None:
    with pytest.raises(BadPattern):
        route("r", "/a", hosts=())
    with pytest.raises(BadPattern):
        route("r", "/a", tenants=set())


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(BadPattern):
        table(route("r", "/a"), route("r", "/b"))


@pytest.mark.parametrize(
    ("configured", "asked", "found"),
    [
        ("api.example.com", "api.example.com", True),
        ("api.example.com", "API.Example.COM:8080", True),
        ("api.example.com:8080", "api.example.com:8080", True),
        ("api.example.com:8080", "api.example.com", False),
        ("api.example.com:8080", "api.example.com:9090", False),
        ("[::1]", "[::1]:8080", True),
        ("[::1]", "[::1]", True),
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("api.example.com", "api.example.com.", False),
        ("api.example.com", "xapi.example.com", False),
        ("api.example.com", "", False),
        ("*", "whatever", True),
    ],
)
def test_hosts(configured: str, asked: str, found: bool) -> None:
    assert (ask(table(route("r", "/a", hosts=(configured,))), "/a", host=asked) == "r") is found


def test_a_port_is_more_specific_than_none() -> None:
    routes = table(route("any", "/a", hosts=("h",)), route("port", "/a", hosts=("h:1",)))
    assert ask(routes, "/a", host="h:1") == "port"
    assert ask(routes, "/a", host="h:2") == "any"


class TestEncodedSlash:
    routes = table(
        route("keep", "/files/{key}", encoded_slash=True),
        route("strict", "/docs/{key}"),
        route("deep", "/deep/{key}/**", encoded_slash=True),
    )

    @pytest.mark.parametrize("path", ["/files/a%2fb", "/files/a%23b", "/files/a%3Fb", "/deep/a%2fb/c"])
    def test_it_is_data_in_the_parameter_of_a_route_that_keeps_it(self, path: str) -> None:
        assert ask(self.routes, path) in ("keep", "deep")

    @pytest.mark.parametrize(
        "path",
        [
            "/docs/a%2fb",
            "/deep/a/b%2fc",
            "/nothing%2f",
            "/files%2fa",
            "/files/..%2f..%2fadmin",
            "/files/a/b%2fc",
            "/docs/a%23",
        ],
    )
    def test_anywhere_else_it_is_not_canonical(self, path: str) -> None:
        with pytest.raises(NotCanonical):
            self.routes.match(HOST, "GET", path.encode(), None)


class TestTrailingSlash:
    """Many servers read ``/a/`` as ``/a``: so nothing answers it that would not answer that."""

    @pytest.mark.parametrize("strict", ["/admin/export", "/admin/{x}", "/{x}/export", "/admin/{x:slug}"])
    def test_it_falls_to_no_looser_route(self, strict: str) -> None:
        routes = table(route("strict", strict, "GET"), route("loose", "/admin/**"), route("all", "/**", hosts=("*",)))
        for method in ("GET", "POST"):
            for tenant in ("acme", None):
                assert routes.match(HOST, method, b"/admin/export/", tenant) == NotFound()
        assert ask(routes, "/admin/export") == "strict"
        assert [ask(routes, path) for path in ("/admin/", "/admin/export/x", "/admin/export/x/")] == ["loose"] * 3

    def test_one_that_is_configured_answers(self) -> None:
        routes = table(route("bare", "/a/b"), route("slashed", "/a/b/", tenants={"acme"}), route("deep", "/a/**"))
        assert [ask(routes, "/a/b/", tenant=tenant) for tenant in ("acme", "globex")] == ["slashed", None]

    def test_where_nothing_ends_without_it_a_deep_route_takes_it(self) -> None:
        routes = table(route("deep", "/a/**"), route("own", "/a/b", tenants={"globex"}))
        assert [ask(routes, path) for path in ("/a/", "/a/b/")] == ["deep", "deep"]
        assert ask(routes, "/a/b/", tenant="globex") is None

    def test_a_tenants_own_catch_all_answers_both(self) -> None:
        routes = table(route("own", "/a/**", tenants={"acme"}), route("bare", "/a/b"))
        assert [ask(routes, path) for path in ("/a/b", "/a/b/")] == ["own", "own"]

    def test_case_distinguishes(self) -> None:
        routes = table(route("strict", "/a/b"), route("deep", "/a/**"))
        assert ask(routes, "/a/B") == "deep"


class TestKinds:
    """``{id:int}`` and the like: they take what they are named for, and go before ``{id}``."""

    UUID = "0b9a3c1e-5a7e-4d8b-9a57-0d3f2c1b4a59"

    @pytest.mark.parametrize(
        ("kind", "taken", "refused"),
        [
            ("int", ["0", "7", "007", "9" * 18], ["", "-7", "+7", "7a", "1_0", "9" * 19, "%D9%A7", "7.0"]),
            ("uuid", [UUID, "0" * 8 + "-0000-0000-0000-" + "0" * 12], [UUID.upper(), UUID[:-1], UUID + "0", "{x}"]),
            (
                "slug",
                ["a", "7", "acme", "a-b", "a--b", UUID, "a" * 63],
                ["", "Acme", "-a", "a-", "a_b", "a.b", "a" * 64, "caf%C3%A9", "a%20b"],
            ),
        ],
    )
    def test_a_kind_takes_what_it_is_named_for(self, kind: str, taken: list[str], refused: list[str]) -> None:
        routes = table(route("r", f"/a/{{x:{kind}}}"))
        assert [ask(routes, f"/a/{segment}") for segment in taken] == ["r"] * len(taken)
        raw = [segment.replace("{", "%7B").replace("}", "%7D") for segment in refused]
        assert [ask(routes, f"/a/{segment}") for segment in raw] == [None] * len(refused)

    @pytest.mark.parametrize(
        ("kind", "likes"),
        [
            ("int", ["+7", "-7", "1_0", "9" * 19, "%D9%A7", "7.0", "%207", "0" * 40]),
            (
                "uuid",
                [
                    UUID.upper(),
                    UUID.replace("-", ""),
                    "0" * 32,
                    f"%7B{UUID}%7D",
                    f"urn:uuid:{UUID}",
                    f"URN:UUID:{UUID.upper()}",
                    UUID[:-1] + "-" + UUID[-1],
                ],
            ),
        ],
    )
    def test_what_an_api_may_read_as_one_falls_to_no_looser_route(self, kind: str, likes: list[str]) -> None:
        strict = (route("one", f"/a/{{x:{kind}}}"), route("below", f"/b/{{x:{kind}}}/c"))
        looser = (route("any", "/{x}/{y}"), route("deep", "/**"), route("slug", "/a/{x:slug}"))
        routes = table(*strict, *looser, route("elsewhere", "/**", hosts=("*",)))
        for like in likes:
            for path in (f"/a/{like}", f"/b/{like}/c"):
                assert routes.match(HOST, "GET", path.encode(), "acme") == NotFound()
                assert routes.match(HOST, "GET", path.encode(), None) == NotFound()
            assert (ask(routes, f"/b/{like}"), ask(routes, f"/b/{like}/d")) == ("any", "deep")
            assert ask(table(route("strict", f"/a/{like}"), *strict, *looser), f"/a/{like}") == "strict"

    def test_what_is_read_as_none_falls_to_the_next(self) -> None:
        strict = route("int", "/a/{x:int}"), route("uuid", "/a/{x:uuid}")
        routes = table(*strict, route("any", "/a/{x}"))
        for segment in ("7a", "1__0", "_1", "7.5", "1e3", "0x7", self.UUID[:-1], self.UUID + "0", "+", "-"):
            assert ask(routes, f"/a/{segment}") == "any"

    def test_it_is_its_own_tenants_route_that_keeps_a_looser_one_from_answering(self) -> None:
        routes = table(route("acme", "/a/{x:int}", tenants={"acme"}), route("any", "/a/{x}"))
        assert [ask(routes, "/a/+7", tenant=tenant) for tenant in ("acme", "globex", None)] == [None, "any", "any"]

    def test_its_parameter_is_found(self) -> None:
        found = table(route("r", "/a/{x:int}/{y:slug}/{z}")).match(HOST, "GET", b"/a/7/b/C", None)
        assert isinstance(found, Matched)
        assert found.params == {"x": "7", "y": "b", "z": "C"}

    @pytest.mark.parametrize(
        "pattern", ["/{x:}", "/{x:text}", "/{x:INT}", "/{:int}", "/{x:int}/{x:uuid}", "/{x:int:uuid}"]
    )
    def test_another_kind_means_nothing(self, pattern: str) -> None:
        with pytest.raises(BadPattern):
            route("r", pattern)

    def test_the_narrowest_goes_first(self) -> None:
        routes = table(
            *(route(kind or "any", f"/a/{{x{kind}}}") for kind in (":int", ":uuid", ":slug", "")),
            route("seven", "/a/7"),
        )
        asked = {"7": "seven", "8": ":int", self.UUID: ":uuid", "acme": ":slug", "Acme": "any"}
        assert {segment: ask(routes, f"/a/{segment}") for segment in asked} == asked

    def test_a_kind_goes_before_more_params_and_after_more_literals(self) -> None:
        routes = table(route("kind", "/{x:int}/**"), route("params", "/{x}/{y}"), route("literal", "/{x}/b"))
        assert [ask(routes, path) for path in ("/7/c", "/7/b", "/a/c")] == ["kind", "literal", "params"]

    def test_kinds_that_share_no_segment_do_not_tie(self) -> None:
        table(route("one", "/a/{x:int}"), route("other", "/a/{x:uuid}"))

    @pytest.mark.parametrize("kind", ["int", "uuid", "slug"])
    def test_two_of_a_kind_tie(self, kind: str) -> None:
        with pytest.raises(Ambiguous):
            table(route("one", f"/a/{{x:{kind}}}"), route("other", f"/a/{{y:{kind}}}"))

    def test_kinds_that_cross_tie(self) -> None:
        with pytest.raises(Ambiguous):
            table(route("one", "/{x:int}/{y:slug}"), route("other", "/{x:slug}/{y:int}"))


UUID = TestKinds.UUID
SEGMENTS = st.sampled_from(["a", "7", "b-c", "B", UUID])
PATTERNS = st.builds(
    lambda parts, deep: "/" + "/".join(parts) + ("/**" if deep and parts else "**" if deep else ""),
    st.lists(
        st.sampled_from(
            ["a", "7", UUID, "{x}", "{y}", "{z}", "{i:int}", "{j:int}", "{s:slug}", "{t:slug}", "{u:uuid}"]
        ),
        max_size=3,
        unique_by=lambda part: part if part[0] == "{" else object(),
    ),
    st.booleans(),
)
TAKES = {
    "int": re.compile("[0-9]{1,18}"),
    "uuid": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "slug": re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
    "": re.compile("(?s).+"),
}


def parts_of(pattern: str) -> list[str]:
    return [part for part in pattern.removesuffix("/**").split("/") if part]


def kind_of(part: str) -> str | None:
    return part.strip("{}").partition(":")[2] if part.startswith("{") else None


def fits(pattern: str, segments: Sequence[str]) -> bool:
    """The slow and obvious way to match."""
    parts, deep = parts_of(pattern), pattern.endswith("/**")
    if len(segments) < len(parts) or (len(segments) > len(parts) and not deep):
        return False
    return all(
        part == segment if (kind := kind_of(part)) is None else TAKES[kind].fullmatch(segment)
        for part, segment in zip(parts, segments, strict=False)
    )


def rank(pattern: str) -> tuple[int, int, int, int, bool]:
    kinds = [kind_of(part) for part in parts_of(pattern)]
    narrow = kinds.count("int") + kinds.count("uuid")
    return kinds.count(None), narrow, kinds.count("slug"), kinds.count(""), not pattern.endswith("/**")


@given(st.lists(PATTERNS, min_size=1, max_size=6, unique=True), st.lists(SEGMENTS, max_size=4))
def test_the_automaton_finds_what_trying_every_pattern_finds(patterns: list[str], segments: list[str]) -> None:
    try:
        routes = table(*(route(pattern, pattern) for pattern in patterns))
    except Ambiguous:
        return
    fitting = [pattern for pattern in patterns if fits(pattern, segments)]
    assert ask(routes, "/" + "/".join(segments), tenant=None) == max(fitting, key=rank, default=None)


@given(st.lists(PATTERNS, min_size=2, max_size=2), st.lists(SEGMENTS, max_size=4))
def test_whatever_compiles_has_one_winner(patterns: list[str], segments: list[str]) -> None:
    one, other = route("one", patterns[0]), route("other", patterns[1])
    tie = rank(patterns[0]) == rank(patterns[1]) and all(fits(pattern, segments) for pattern in patterns)
    try:
        table(one, other)
    except Ambiguous:
        return
    assert not tie


ROUTES = st.lists(
    st.builds(
        lambda parts, deep, methods, tenants: (
            ("/" + "/".join(parts)).rstrip("/") + ("/**" if deep else ""),
            methods,
            tenants,
        ),
        st.lists(st.sampled_from(["a", "7", "{%d}", "{%d:int}", "{%d:slug}"]), max_size=2),
        st.booleans(),
        st.sampled_from([(), ("GET",), ("HEAD",), ("POST",)]),
        st.sampled_from([None, None, {"acme"}, {"globex"}, {"acme", "globex"}]),
    ),
    min_size=1,
    max_size=5,
)
PATHS = [path for length in range(4) for path in itertools.product(["a", "7", "b", "B", "+7"], repeat=length)]
PATHS += [(*path, "") for path in PATHS if 0 < len(path) < 3]


def named(pattern: str) -> str:
    """With a name of its own for each parameter."""
    names = iter("xyz")
    return re.sub("%d", lambda _: next(names), pattern) or "/"


def could_be_taken_for(pattern: str, segments: Sequence[str]) -> bool:
    """Whether an API that is less strict may read the path as one that the pattern fits."""
    if segments[-1:] == ("",) and not pattern.endswith("/**"):
        segments = segments[:-1]
    read = ["7" if kind_of(part) == "int" else one for part, one in zip(parts_of(pattern), segments, strict=False)]
    plain = [one if seen == "+7" else seen for seen, one in zip(segments, read, strict=False)]
    return fits(pattern, (*plain, *segments[len(plain) :]))


def answers(routes: list[Route], method: str, segments: Sequence[str], tenant: str) -> set[str] | str:
    """What the rules say, read plainly: the routes that answer, more than one where they tie."""
    known = [one for one in routes if one.tenants is None or tenant in one.tenants]
    shadows = [one for one in known if could_be_taken_for(one.pattern, segments) and not fits(one.pattern, segments)]
    eligible = [*shadows, *(one for one in known if fits(one.pattern, segments))]
    if not eligible:
        return "nothing"
    strictest = max(rank(one.pattern) for one in eligible)
    if any(rank(one.pattern) == strictest for one in shadows) and not any(
        one.method_rank(method) for one in eligible if rank(one.pattern) == strictest
    ):
        return "nothing"
    if not any(one.method_rank(method) for one in eligible if rank(one.pattern) == strictest):
        return "not allowed"
    ranks = {
        one.name: (one.tenants is not None, rank(one.pattern), one.method_rank(method))
        for one in eligible
        if one.method_rank(method)
    }
    found = {name for name in ranks if ranks[name] == max(ranks.values())}
    return "nothing" if any(one.name in found for one in shadows) else found


def tie_whatever_else_there_is(one: Route, other: Route) -> bool:
    """Two of one pattern: they are refused even where stricter routes leave neither of them anything."""
    same = re.sub(r"\w+(?=[:}])", "", one.pattern) == re.sub(r"\w+(?=[:}])", "", other.pattern)
    alike = one.tenants is other.tenants if None in (one.tenants, other.tenants) else one.tenants & other.tenants
    return same and bool(alike) and any(one.method_rank(m) == other.method_rank(m) for m in one.allowed & other.allowed)


@pytest.mark.soak
@settings(max_examples=1000 if SOAK else 50)
@given(ROUTES)
def test_the_table_answers_as_the_rules_read_and_refuses_what_they_leave_open(
    drawn: list[tuple[str, tuple[str, ...], set[str] | None]],
) -> None:
    routes = [route(f"r{at}", named(path), *methods, tenants=bound) for at, (path, methods, bound) in enumerate(drawn)]
    expected = {
        (method, path, tenant): answers(routes, method, path, tenant)
        for method in ("GET", "HEAD", "PUT")
        for path in PATHS
        for tenant in ("acme", "globex", "initech")
    }
    open_question = any(len(found) > 1 for found in expected.values() if isinstance(found, set))
    try:
        compiled = table(*routes)
    except Ambiguous:
        assert open_question or any(tie_whatever_else_there_is(*two) for two in itertools.combinations(routes, 2))
        return
    assert not open_question
    for (method, path, tenant), found in expected.items():
        match compiled.match(HOST, method, path, tenant):
            case Matched(matched):
                assert found == {matched.name}
            case MethodNotAllowed():
                assert found == "not allowed"
            case other:
                assert (other, found) == (NotFound(), "nothing")


def test_matching_takes_the_same_steps_however_many_routes_there_are() -> None:
    def steps(count: int) -> int:
        routes = table(*(route(f"r{at}", f"/service{at}/{{id}}/**") for at in range(count)))
        path = ("service1", "7", "items")
        routes.match(HOST, "GET", path, None)  # the answer of a node is found once, and then remembered
        calls = 0

        def count_calls(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count_calls)
        try:
            routes.match(HOST, "GET", path, None)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(2000) == steps(2)


def test_a_route_among_a_thousand_is_found_beside_a_wider_one() -> None:
    routes = table(
        *(route(f"r{at}", f"/service{at}/{{id}}/**", tenants={"acme"}) for at in range(1000)),
        route("any", "/{service}/{id}"),
    )
    assert name_of(routes.match(HOST, "GET", ("service999", "7"), "acme")) == "r999"
    assert name_of(routes.match(HOST, "GET", ("service999", "7"), "globex")) == "any"


@pytest.mark.parametrize(
    ("upstream", "tenant"),
    [
        ("live-acme", "acme"),
        ("live-", None),
        ("live-acme-", "acme-"),
        ("orders", None),
        ("xlive-acme", None),
    ],
)
def test_a_route_knows_whose_upstream_one_is(upstream: str, tenant: str | None) -> None:
    route = Route("r", ("*",), "/", Anonymous(), "live-{tenant}")
    assert route.per_tenant
    assert route.tenant_of(upstream) == tenant
    if tenant is not None:
        assert route.upstream_of(tenant) == upstream


def test_an_upstream_is_whole_on_both_sides_of_the_tenant() -> None:
    route = Route("r", ("*",), "/", Anonymous(), "a-{tenant}-a", tenants=frozenset({"x"}))
    assert route.tenant_of("a-x-a") == "x"
    assert route.tenant_of("a-a") is None
    assert route.tenant_of("a-y-a") is None
    assert not Route("r", ("*",), "/", Anonymous(), "orders").per_tenant


@pytest.mark.parametrize(
    "pattern",
    ["/service{n}/{{id}}/**", "/api/{{any}}/service{n}/{{id:int}}", "/orders/**", "/{{any}}/**"],
    ids=["own_literal", "one_prefix", "one_path", "one_catch_all"],
)
def test_compiling_takes_a_time_that_grows_with_the_routes(pattern: str) -> None:
    """Ten times as many take about ten times as long: each with each other would take a hundred times."""

    def seconds(count: int) -> float:
        routes = [route(f"r{n}", pattern.format(n=n), tenants={f"tenant-{n}"}) for n in range(count)]
        begun = time.process_time()
        table(*routes)
        return time.process_time() - begun

    few = min(seconds(200) for _ in range(3))
    assert min(seconds(2000) for _ in range(2)) < 40 * max(few, 0.002)


def test_ten_thousand_routes_of_ten_thousand_tenants_beside_each_other() -> None:
    routes = table(
        *(route(f"bound{n}", "/orders/**", tenants={f"tenant-{n}"}) for n in range(5000)),
        *(route(f"own{n}", f"/orders/kind{n}/{{id}}") for n in range(5000)),
    )
    assert ask(routes, "/orders/kind7/1", tenant="tenant-7") == "bound7"
    assert ask(routes, "/orders/kind7/1", tenant="tenant-5000") == "own7"
    assert ask(routes, "/orders/kind7/1", "TRACE", tenant=None) is None


@pytest.mark.soak
def test_patterns_that_cross_each_other_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_automaton._STEPS == 500_000
    if not SOAK:  # to take that many steps takes seconds
        monkeypatch.setattr(path_automaton, "_STEPS", 20_000)
    count = 1500 if SOAK else 300
    crossing = [route(f"a{n}", f"/a{n}/{{x}}/**") for n in range(count)]
    with pytest.raises(Entangled, match=r"as by /a\d+/\{x\}/\*\* and /\{x\}/b\d+$"):
        table(*crossing, *(route(f"b{n}", f"/{{x}}/b{n}") for n in range(count)))


def test_what_strangers_ask_for_is_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_REMEMBERED", 10)
    routes = table(*(route(f"r{n}", f"/a{n}", tenants={"acme"}) for n in range(20)))
    for n in range(20):
        for method in ("GET", "PUT", f"WORD{n}"):
            for tenant in (None, "acme", f"tenant-{n}"):
                routes.match(HOST, method, (f"a{n}",), tenant)
    kept = routes._roots[HOST].here._answers
    assert 0 < len(kept) <= 10
    assert not any(method.startswith("WORD") for _, method, _ in kept)


def test_a_pattern_has_an_end() -> None:
    route("r", "/a" * 64)
    with pytest.raises(BadPattern):
        route("r", "/a" * 65)


class TestAnotherRouteKeeps:
    """A tenant's route that keeps an encoded slash changes nothing for others, and is not lost to them."""

    routes = table(
        route("any", "/files/**", rule=Anonymous()),
        route("acme", "/files/{key}", tenants={"acme"}, encoded_slash=True),
        route("globex", "/files/{key}", tenants={"globex"}),
        route("other", "/other/{key}"),
    )

    def test_without_a_token_it_is_not_known_yet(self) -> None:
        assert self.routes.match(HOST, "GET", b"/files/a%2fb", None) == DelimiterRefused()

    def test_its_own_tenant_is_given_it(self) -> None:
        assert ask(self.routes, "/files/a%2fb", tenant="acme") == "acme"

    @pytest.mark.parametrize(
        ("path", "tenant"), [("/files/a%2fb", "globex"), ("/files/a%2fb", "initech"), ("/other/a%2fb", None)]
    )
    def test_nobody_else_is(self, path: str, tenant: str | None) -> None:
        with pytest.raises(NotCanonical):
            self.routes.match(HOST, "GET", path.encode(), tenant)


def test_rules_of_pages_are_kept_once_for_each_pattern_however_many_paths_are_asked_about() -> None:
    pages = [PageRules(frozenset({f"https://app.t{n}.test"})) for n in range(500)]
    routes = table(
        *(route(f"t{n}", "/a/**", tenants={f"t{n}"}, pages=rules) for n, rules in enumerate(pages)),
        *(route(f"own{n}", f"/a/own{n}") for n in range(500)),
    )
    for n in range(500):
        found = routes.page_rules(HOST, "GET", ("a", f"own{n}"))
        assert found.find(f"https://app.t{n}.test", frozenset()) == pages[n]
        assert found.find("https://evil.test", frozenset()) is None
        assert not routes.page_rules(HOST, f"WORD{n}", ("a", f"own{n}")).any
    shapes = {shape for n in range(500) for shape in routes._roots[HOST].find(("a", f"own{n}")).shapes}
    assert sum(len(shape._page_rules) for shape in shapes) <= 501


def test_the_one_tenant_that_a_browser_may_log_in_at() -> None:
    routes = table(
        route("acme", "/app/**", tenants={"acme"}, browser=True),
        route("acme-plain", "/app/plain", tenants={"acme"}),
        route("acme-both", "/both", tenants={"acme"}, browser=True),
        route("globex-both", "/both", tenants={"globex"}, browser=True),
        route("globex-elsewhere", "/app/**", tenants={"globex"}, hosts=("*",), browser=True),
        route("acme-post", "/form", "POST", tenants={"acme"}, browser=True),
        route("anybody", "/any"),
        route("acme-any", "/any", tenants={"acme"}, browser=True),
    )

    def at(path: str, method: str = "GET", host: str = HOST) -> str | None:
        return routes.browser_tenant(host, method, routes.segments(path.encode()))

    for _ in range(2):
        assert at("/app/x") is None  # of two hosts' routes, each answers its tenant
        assert at("/app/x", host="other.example.com") == "globex"
        assert at("/app/plain") == "globex"
        assert at("/both") is None
        assert at("/form", "POST") == "acme"
        assert at("/form") is None
        assert at("/form", "PROPFIND") is None
        assert at("/any") == "acme"
        assert at("/nowhere") is None

"""What a route's settings become: paths, bodies, limits and pages, each by the route's word or by that for all."""

import time
from pathlib import Path

import pytest

from gateway.settings import ConfigError, Settings, compile_routes, load
from gateway.settings.route_options import written
from policies.cross_origin import PageRules
from policies.quota import Quota
from policies.route import Route

MIB = 1024 * 1024
HEAD = """
public_url: https://auth.example.com
api_hosts: [api.example.com]
upstreams: {orders: {targets: [http://orders:8000], audience: "https://api.example.com/orders"}}
"""
APP, SHOP = "https://app.example.com", "https://shop.example.com"


def settings(folder: Path, *routes: str, more: str = "") -> Settings:
    listed = "".join(f"  - {{name: r{n}, upstream: orders, {route}}}\n" for n, route in enumerate(routes))
    path = folder / "yett.yaml"
    path.write_text(f"{HEAD}{more}\nroutes:\n{listed}")
    return load(path, {})


def compiled(folder: Path, route: str, more: str = "", require: str = "{scopes: [a]}") -> Route:
    (found,) = compile_routes(settings(folder, f"require: {require}, {route}", more=more)).routes
    return found


PLAIN = 'match: {path: "/a/{id:int}/**"}'


def test_a_route_that_says_nothing_has_a_bound_for_bodies_only(tmp_path: Path) -> None:
    route = compiled(tmp_path, PLAIN)
    assert (route.rewrite, route.quotas, route.pages) == (None, (), None)
    assert route.body == 10 * MIB


@pytest.mark.parametrize(
    ("said", "everywhere", "most"),
    [
        ("", "64KiB", 64 * 1024),
        (", body: 1MiB", "64KiB", MIB),
        (", body: unlimited", "64KiB", None),
        ("", "unlimited", None),
        (", body: 0KiB", "unlimited", 0),
    ],
)
def test_a_body_is_bounded_by_the_route_or_for_all(
    tmp_path: Path, said: str, everywhere: str, most: int | None
) -> None:
    assert compiled(tmp_path, PLAIN + said, more=f"limits: {{body: {everywhere}}}").body == most


@pytest.mark.parametrize(
    ("said", "becomes"),
    [("strip: /a", b"/7/x%20y"), ('rewrite: "/new/{id}/**"', b"/new/7/x%20y"), ("rewrite: /**", b"/x%20y")],
)
def test_a_path_is_stripped_or_rewritten(tmp_path: Path, said: str, becomes: bytes) -> None:
    rewrite = compiled(tmp_path, f"{PLAIN}, {said}").rewrite
    assert rewrite is not None
    assert rewrite.apply(b"/a/7/x%20y") == becomes


def test_a_limit_is_one_or_several(tmp_path: Path) -> None:
    one = compiled(tmp_path, PLAIN + ", limit: {per: subject, rate: 60/minute}")
    assert one.quotas == (Quota("subject", 60, "minute", 60),)
    several = compiled(
        tmp_path, PLAIN + ", limit: [{per: tenant, rate: 5/second, burst: 9}, {per: route, rate: 1/day}]"
    )
    assert several.quotas == (Quota("tenant", 5, "second", 9), Quota("route", 1, "day", 1))


@pytest.mark.parametrize(
    ("everywhere", "said", "rules"),
    [
        ("", "", None),
        (f"cors: {{origins: [{APP}]}}", "", PageRules(frozenset({APP}))),
        ("", f"cors: {{origins: [{APP}], max_age: 1m}}", PageRules(frozenset({APP}), max_age=60)),
        (
            f"cors: {{origins: [{APP}], expose: [ETag]}}",
            f"cors: {{origins: [{SHOP}]}}",
            PageRules(frozenset({SHOP}), expose=("ETag",)),
        ),
        (f"cors: {{origins: [{APP}]}}", "cors: {headers: [X-A]}", PageRules(frozenset({APP}), headers=("X-A",))),
        (f"cors: {{origins: [{APP}]}}", "cors: {origins: []}", PageRules()),
        ("", 'cors: {origins: ["*"]}', PageRules(frozenset({"*"}))),
        ("cors: {client_origins: true}", "", PageRules(registered=True)),
        ("cors: {client_origins: true}", "cors: {client_origins: false}", PageRules()),
    ],
)
def test_which_pages_may_is_the_routes_word_over_that_for_all(
    tmp_path: Path, everywhere: str, said: str, rules: PageRules | None
) -> None:
    assert compiled(tmp_path, f"{PLAIN}, {said}" if said else PLAIN, more=everywhere).pages == rules


def test_an_anonymous_route_inherits_no_origins_of_clients(tmp_path: Path) -> None:
    everywhere = f"cors: {{client_origins: true, origins: [{APP}]}}"
    assert compiled(tmp_path, PLAIN, more=everywhere, require="anonymous").pages == PageRules(frozenset({APP}))


def test_what_a_route_says_is_printed(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "require: {scopes: [a]}, match: {path: /a/**}, strip: /a, body: unlimited, "
        "limit: {per: subject, rate: 60/minute}",
        f"require: {{scopes: [a]}}, match: {{path: /b}}, cors: {{origins: [{APP}], client_origins: true}}, body: 1KiB",
        "require: {scopes: [a]}, match: {path: /c}",
    )
    assert [written(route, found) for route in found.routes] == [
        {"strip": "/a", "body": "unlimited", "limit": "60/minute per subject, 60 at once"},
        {"body": "1024 bytes", "cors": f"{APP} origins of clients"},
        {},
    ]


def test_the_digest_says_what_routes_inherit(tmp_path: Path) -> None:
    def digest(more: str) -> str:
        return settings(tmp_path, f"require: {{scopes: [a]}}, {PLAIN}", more=more).digest

    assert digest("") == digest("limits: {body: 10240KiB, counters: 5000}")
    assert len({digest(""), digest("limits: {body: 1MiB}"), digest(f"cors: {{origins: [{APP}]}}")}) == 3


def test_patterns_that_cross_without_end_are_a_problem_and_no_wait(tmp_path: Path) -> None:
    crossing = [f"require: {{scopes: [a]}}, match: {{path: '/a{n}/{{x}}/**'}}" for n in range(500)]
    crossing += [f"require: {{scopes: [a]}}, match: {{path: '/{{x}}/b{n}'}}" for n in range(500)]
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, *crossing)
    assert [problem.field for problem in refused.value.problems] == ["routes"]
    assert "too many paths" in str(refused.value)


def test_of_many_routes_that_tie_each_is_told_once_and_in_one_go(tmp_path: Path) -> None:
    same = ["require: {scopes: [a]}, match: {path: /same}"] * 3000
    begun = time.process_time()
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, *same)
    took = time.process_time() - begun
    assert len(refused.value.problems) == 50
    begun = time.process_time()
    settings(tmp_path, *(f"require: {{scopes: [a]}}, match: {{path: /own{n}}}" for n in range(3000)))
    assert took < 3 * (time.process_time() - begun)

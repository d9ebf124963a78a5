"""What a route does beside deciding: the path that its upstream is asked for, how much it takes, and which pages may.

Turns the file's words into what ``policies`` decides by, and says what does not fit together.
"""

from collections.abc import Iterator
from dataclasses import replace

from gateway.settings.model import Settings
from gateway.settings.problem import Path
from gateway.settings.route_limit import UNLIMITED
from gateway.settings.routing import Route
from policies.cross_origin import EVERY_PAGE, PageRules
from policies.pattern import BadPattern, Pattern
from policies.rewrite import Rewrite
from policies.route import Route as CompiledRoute

_NEEDS_A_CALLER = frozenset({"subject", "client", "tenant"})

Finding = tuple[Path, str]


def with_options(route: Route, compiled: CompiledRoute, settings: Settings) -> CompiledRoute:
    """The route with all of them. They have been checked."""
    body = settings.limits.body if route.body is None else route.body
    return replace(
        compiled,
        rewrite=_rewrite(route, compiled.parsed),
        body=body if isinstance(body, int) else None,
        quotas=tuple(limit.quota for _, limit in route.limits),
        pages=_pages(route, settings),
    )


def option_findings(route: Route, pattern: Pattern, settings: Settings) -> Iterator[Finding]:
    """What is wrong, each with where it stands below the route."""
    yield from _path_findings(route, pattern)
    yield from _limit_findings(route)
    if route.cors is not None:
        yield from _cors_findings(route, settings)


def written(route: Route, settings: Settings) -> dict[str, str]:
    """Those that the route itself has, as a person reads them."""
    said = {name: value for name in ("strip", "rewrite") if (value := getattr(route, name)) is not None}
    if route.body is not None:
        said["body"] = route.body if route.body == UNLIMITED else f"{route.body} bytes"
    if route.limits:
        said["limit"] = ", ".join(
            f"{limit.rate} per {limit.per}, {limit.quota.burst} at once" for _, limit in route.limits
        )
    if route.cors is not None and (rules := _pages(route, settings)) is not None:
        registered = ["origins of clients"] if rules.registered else []
        said["cors"] = " ".join([*sorted(rules.origins), *registered]) or "no page"
    return said


def _rewrite(route: Route, pattern: Pattern) -> Rewrite | None:
    if route.strip is not None:
        return Rewrite.strip(pattern, route.strip)
    if route.rewrite is not None:
        return Rewrite.to(pattern, route.rewrite, keeps=route.encoded_slash == "keep")
    return None


def _path_findings(route: Route, pattern: Pattern) -> Iterator[Finding]:
    if route.strip is not None and route.rewrite is not None:
        yield ("rewrite",), "stands beside `strip`; one of them says all that is asked of the upstream"
        return
    try:
        _rewrite(route, pattern)
    except BadPattern as error:
        yield ("strip",) if route.strip is not None else ("rewrite",), str(error)


def _limit_findings(route: Route) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, limit in route.limits:
        if route.anonymous and limit.per in _NEEDS_A_CALLER:
            yield ("limit", *place, "per"), f"an anonymous request has no {limit.per}; limit per address, or per route"
        if limit.quota.name in seen:
            yield ("limit", *place), f"is the second per {limit.per} and {limit.rate.unit}; a route has one of each"
        seen.add(limit.quota.name)


def _pages(route: Route, settings: Settings) -> PageRules | None:
    rules = settings.cors.rules if route.cors is None else route.cors.over(settings.cors).rules or PageRules()
    return replace(rules, registered=False) if rules is not None and route.anonymous else rules


def _cors_findings(route: Route, settings: Settings) -> Iterator[Finding]:
    cors = route.cors
    if cors is None:
        return
    if not cors.model_fields_set:
        yield ("cors",), "is empty: say what this route has in place of `cors` of all routes"
    if route.anonymous and cors.client_origins:
        yield ("cors", "client_origins"), "has no effect: an anonymous request has no tenant whose clients these are"
    effective = cors.over(settings.cors)
    every = EVERY_PAGE in effective.origins
    if every and len(effective.origins) > 1:
        yield ("cors", "origins"), f'"{EVERY_PAGE}" already means every page; name origins or "{EVERY_PAGE}", not both'
    if every and effective.credentials:
        yield ("cors", "credentials"), f'cannot be with "{EVERY_PAGE}": cookies go along for pages that are named only'
    if effective.client_origins and effective.credentials:
        yield (
            ("cors", "credentials"),
            "cannot be with `client_origins`: tenants would say whose pages are sent this API's cookies",
        )

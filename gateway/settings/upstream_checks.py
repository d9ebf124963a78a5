"""What must fit together in upstreams, and between them and the routes that name them."""

from collections.abc import Iterator
from ipaddress import ip_address

from gateway.settings.checks import Facts, Finding
from gateway.settings.routing import ANY_TENANT, Route
from gateway.settings.units import is_slug
from gateway.settings.upstream import TlsProblem, Upstream, tls_context
from gateway.settings.upstream_address import may_connect
from policies.route import TENANT


def upstream_findings(facts: Facts) -> Iterator[Finding]:
    """All of them."""
    for index, route in facts.routes:
        if facts.knows("upstreams"):
            yield from _route(facts, index, route)
    if not facts.knows("upstreams"):
        return
    yield from _others(facts)
    for name, upstream in facts.settings.upstreams.items():
        yield from _targets(name, upstream)
        yield from _addresses(name, upstream)
        yield from _tls(name, upstream)


def _route(facts: Facts, index: int, route: Route) -> Iterator[Finding]:
    if route.upstream is None:
        return
    place = ("routes", index, "upstream")
    known = ", ".join(sorted(facts.upstreams)) or "none"
    if TENANT not in route.upstream:
        if route.upstream not in facts.upstreams:
            yield place, f"there is no upstream {route.upstream!r} (there are: {known})"
        return
    before, _, after = route.upstream.partition(TENANT)
    if TENANT in after or not before + after:
        yield (
            place,
            f"must have {TENANT} once, and something beside it, so that no tenant is called as an upstream",
        )
    elif route.require == "anonymous":
        yield place, f"an anonymous request has no tenant, so {TENANT} stands for nobody; name an upstream"
    elif ANY_TENANT in route.tenants:
        fitting = [name for name in facts.upstreams if name.startswith(before) and name.endswith(after)]
        if not any(len(name) > len(before + after) for name in fitting):
            yield place, f"no upstream is called {route.upstream} for any tenant (there are: {known})"
    else:
        for slug in route.tenants:
            name = route.upstream.replace(TENANT, slug)
            if name not in facts.upstreams:
                yield place, f"there is no upstream {name!r} for the tenant {slug} (there are: {known})"


def _others(facts: Facts) -> Iterator[Finding]:
    """Upstreams that ``{tenant}`` would give to one tenant, and another route to others: with a slug of ``acme-v2``,
    ``live-{tenant}`` is what ``live-{tenant}-v2`` is for ``acme``.
    """
    whose: dict[str, dict[str, int]] = {}  # by upstream: each that a route leads there, and the first route that does
    for index, route in facts.routes:
        for name, slug in _led_to(facts, route):
            whose.setdefault(name, {}).setdefault(slug, index)
    for index, route in facts.routes:
        if route.upstream is None or TENANT not in route.upstream:
            continue
        for name, slug in _led_to(facts, route):
            other = next((at for owner, at in whose[name].items() if owner != slug), None)
            if other is not None:
                what = f"is {name} for the tenant {slug}, and routes[{other}].upstream leads others there"
                yield ("routes", index, "upstream"), f"{what}: name one of them so that it fits one route only"
                break


def _led_to(facts: Facts, route: Route) -> Iterator[tuple[str, str]]:
    """The upstreams that a route can lead to, each with the slug of the tenant whose requests it gets; no slug: with
    those of several, or of anybody.
    """
    if route.upstream is None:
        return
    if TENANT not in route.upstream:
        only = len(route.tenants) == 1 and route.tenants[0] != ANY_TENANT and route.require != "anonymous"
        yield route.upstream, route.tenants[0] if only else ""
        return
    before, _, after = route.upstream.partition(TENANT)
    if TENANT in after or not before + after or route.require == "anonymous":
        return  # which is said already
    for name in sorted(facts.upstreams):
        slug = name[len(before) : len(name) - len(after)]
        fits = name == f"{before}{slug}{after}" and is_slug(slug)
        if fits and (ANY_TENANT in route.tenants or slug in route.tenants):
            yield name, slug


def _targets(name: str, upstream: Upstream) -> Iterator[Finding]:
    seen: set[str] = set()
    for position, target in enumerate(upstream.targets):
        place = ("upstreams", name, "targets", position)
        if str(target.url) in seen:
            yield place, f"{target.url} stands here a second time"
        seen.add(str(target.url))
        if target.url.scheme != upstream.targets[0].url.scheme:
            yield place, "must be http:// or https:// as the first one is: a request must not go in the clear by chance"


def _addresses(name: str, upstream: Upstream) -> Iterator[Finding]:
    for position, target in enumerate(upstream.targets):
        try:
            address = ip_address(target.url.at.address)
        except ValueError:
            continue  # a name: judged each time it is looked up
        if may_connect(address, upstream.networks or ()):
            continue
        place = ("upstreams", name, "targets", position)
        if may_connect(address, ()):
            yield place, f"{address} is in none of `networks`"
        else:
            yield (
                place,
                f"{address} is link-local, a cloud's metadata or nobody's: list it in `networks` if it is meant",
            )


def _tls(name: str, upstream: Upstream) -> Iterator[Finding]:
    tls, place = upstream.tls, ("upstreams", name, "tls")
    if all(target.url.scheme == "http" for target in upstream.targets):
        if tls is not None:
            yield place, "has no effect: no target is https://"
        return
    if tls is None:
        return  # the system's own authorities: nothing to be wrong with
    if (tls.certificate_file is None) is not (tls.key_file is None):
        yield place, "`certificate_file` and `key_file` go together"
        return
    try:
        tls_context(tls)
    except TlsProblem as problem:
        yield (*place, problem.field), str(problem)

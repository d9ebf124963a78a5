"""What must fit together in upstreams, and between them and the routes that name them."""

from collections.abc import Iterator
from ipaddress import ip_address

from gateway.settings.checks import Facts, Finding
from gateway.settings.routing import ANY_TENANT, Route
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
    if tls is not None and (tls.certificate_file is None) is not (tls.key_file is None):
        yield place, "`certificate_file` and `key_file` go together"
        return
    try:
        tls_context(tls)
    except TlsProblem as problem:
        yield (*place, problem.field), str(problem)

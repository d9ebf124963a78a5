"""Routes as written to routes as ``policies`` decides by: rules, patterns, the table. Upstreams are the proxy's."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from gateway.settings.checks import Facts, Finding
from gateway.settings.model import Settings
from gateway.settings.route_options import option_findings, with_options
from gateway.settings.routing import ANY_TENANT, Requirement, Route
from policies import rule
from policies.path_automaton import Entangled
from policies.pattern import BadPattern, Pattern
from policies.route import ANY_HOST
from policies.route import Route as CompiledRoute
from policies.route_table import RouteTable

_MAX_TIES = 50


def compile_routes(settings: Settings) -> RouteTable:
    """The table of settings that ``load`` returned: it was compiled there before, so it raises nothing here."""
    return RouteTable.compile(with_options(route, _route(route), settings) for route in settings.routes)


def route_findings(facts: Facts) -> Iterator[Finding]:
    """Patterns that mean nothing, and every pair of routes that ties."""
    sound: dict[str, CompiledRoute] = {}
    positions: dict[str, int] = {}
    for index, route in facts.routes:
        try:
            pattern = Pattern.parse(route.match.path)
        except BadPattern as error:
            yield ("routes", index, "match", "path"), str(error)
            continue
        for path, message in option_findings(route, pattern, facts.settings):
            yield ("routes", index, *path), message
        if route.encoded_slash == "keep" and not pattern.names:
            yield (
                ("routes", index, "encoded_slash"),
                "has no effect: only a {param} of the path can hold an encoded slash",
            )
        yield from _api_key_findings(index, route)
        if route.name not in sound:
            sound[route.name], positions[route.name] = _route(route), index
    yield from _ties(sound, positions)


def _ties(sound: dict[str, CompiledRoute], positions: dict[str, int]) -> Iterator[Finding]:
    """Of routes that tie, each but the first in the file, with one of those that stand before it."""
    try:
        ties = RouteTable.ties(sound.values())
    except Entangled as error:
        yield ("routes",), f"{error}; let fewer patterns have a {{param}} where others have a name"
        return
    first_of: dict[str, str] = {}
    for tie in ties:
        first, second = sorted(tie.routes, key=positions.__getitem__)
        if first not in first_of:
            first_of.setdefault(second, first)
    for second, first in islice(first_of.items(), _MAX_TIES):
        yield (
            ("routes", positions[second]),
            f"{second} ties with {first} (routes[{positions[first]}]): both would answer the same request; "
            "make one more specific by path, methods, tenants or hosts",
        )


def _api_key_findings(index: int, route: Route) -> Iterator[Finding]:
    """Where ``api_keys: allow`` says nothing, or says too much."""
    if route.api_keys == "refuse":
        return
    place = ("routes", index, "api_keys")
    if route.require == "anonymous":
        yield place, "has no effect: an anonymous route asks for no key"
    elif not rule.open_to_api_keys(_rule(route.require)):
        yield place, "has no effect: no API key can pass `require`, since none has a login, a client or claims"
    if route.authorization == "forward":
        yield (
            place,
            "hands the keys themselves to the upstream, together with `authorization: forward`; drop one of them",
        )


def _route(route: Route) -> CompiledRoute:
    return CompiledRoute(
        name=route.name,
        hosts=(ANY_HOST,) if route.match.hosts is None else tuple(map(str, route.match.hosts)),
        pattern=route.match.path,
        rule=rule.Anonymous() if route.require == "anonymous" else _rule(route.require),
        upstream=route.upstream or "",
        audience=route.audience,
        browser=route.session == "cookie",
        methods=frozenset({"GET"} if route.websocket else route.match.methods or ()),
        tenants=None if ANY_TENANT in route.tenants else frozenset(route.tenants),
        encoded_slash=route.encoded_slash == "keep",
        pass_authorization=route.authorization == "forward",
        audit_allow=route.audit == "allow",
        signed_identity=route.identity == "jwt",
        api_keys=route.api_keys == "allow",
        websocket=route.websocket,
        outlives_token=route.stream_ends == "revocation",
        shadow=route.shadow,
    )


def _rule(node: Requirement) -> rule.Rule:
    match node:
        case Requirement(all=tuple(nodes)):
            return rule.All(tuple(map(_rule, nodes)))
        case Requirement(any=tuple(nodes)):
            return rule.Any(tuple(map(_rule, nodes)))
        case Requirement(not_=Requirement() as inner):
            return rule.Not(_rule(inner))
        case Requirement(scopes=tuple(scopes)):
            return rule.Scopes(frozenset(scopes))
        case Requirement(claims=dict(claims)):
            return rule.Claims(tuple(sorted(claims.items())))
        case Requirement(amr=tuple(methods)):
            return rule.Amr(frozenset(methods))
        case Requirement(acr=str(value)):
            return rule.Acr(value)
        case Requirement(max_age=timedelta() as age):
            return rule.MaxAge(int(age.total_seconds()))
        case Requirement(client=tuple(clients)):
            return rule.ClientIs(frozenset(clients))
        case Requirement(source_ip=tuple(networks)):
            return rule.SourceIp(networks)
        case _:
            raise AssertionError("a node has exactly one key")

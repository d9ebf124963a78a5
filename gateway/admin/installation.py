"""What belongs to no tenant: routes, limits, and how far sinks are. For operators, to look at: all of it is configured
in the file.
"""

from datetime import datetime
from typing import Literal

from pydantic import JsonValue

from gateway.admin.document import Document, Page
from gateway.admin.operation import Answer, Call, Operation
from gateway.settings import Route
from gateway.settings.routing import ANY_TENANT
from policies.administration import INSTALLATION_READ
from tenants import sink_standing


class RouteDocument(Document):
    """``require`` as the configuration has it."""

    name: str
    path: str
    methods: tuple[str, ...] | None
    hosts: tuple[str, ...] | None
    tenants: tuple[str, ...]
    upstream: str | None
    require: JsonValue


class RoutesDocument(Document):
    """``digest`` is of the configuration that decides now: it stands on every decision in the audit log."""

    digest: str
    items: tuple[RouteDocument, ...]


class LimitsDocument(Document):
    """Requests per client address, in the configuration's words; ``body`` is in bytes, ``counters`` are callers that
    limits of routes are kept for.
    """

    token: str
    pages: str
    management: str
    body: int | Literal["unlimited"]
    counters: int


class SinkDocument(Document):
    """``behind`` counts the events that wait, ``refused`` those that it will never take, ``failures`` those in a row.
    ``problem`` is the last one, whether it is over or not."""

    name: str
    configured: bool
    kind: str | None
    behind: int
    refused: int
    delivered_at: datetime | None
    failures: int
    failing_since: datetime | None
    problem: str | None
    failed_at: datetime | None
    next_at: datetime | None


def _shown(route: Route) -> RouteDocument:
    match, require = route.match, route.require
    return RouteDocument(
        name=route.name,
        path=match.path,
        methods=match.methods,
        hosts=None if match.hosts is None else tuple(map(str, match.hosts)),
        tenants=route.tenants,
        upstream=route.upstream,
        require=require
        if isinstance(require, str)
        else require.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


async def _routes(call: Call) -> Answer:
    settings = call.services.settings()
    return Answer(RoutesDocument(digest=settings.digest, items=tuple(_shown(route) for route in settings.routes)))


async def _limits(call: Call) -> Answer:
    found = call.services.settings().limits
    return Answer(
        LimitsDocument(
            token=found.token,
            pages=found.pages,
            management=found.management,
            body=found.body,
            counters=found.counters,
        )
    )


async def _sinks(call: Call) -> Answer:
    configured = {one.name: one for one in call.services.settings().sinks}
    standing = {one.name: one for one in await sink_standing.standing(call.services.installation.database)}
    shown = []
    for name in sorted({*configured, *standing}):
        one, found = configured.get(name), standing.get(name)
        wanted = None if one is None or ANY_TENANT in one.tenants else one.tenants
        shown.append(
            SinkDocument(
                name=name,
                configured=one is not None,
                kind=None if one is None else one.kind,
                behind=0 if found is None else found.behind(wanted),
                refused=0 if found is None else found.refused,
                delivered_at=None if found is None else found.delivered_at,
                failures=0 if found is None else found.failures,
                failing_since=None if found is None else found.failing_since,
                problem=None if found is None else found.problem,
                failed_at=None if found is None else found.failed_at,
                next_at=None if found is None else found.next_at,
            )
        )
    return Answer(Page[SinkDocument](items=tuple(shown), next_cursor=None))


OPERATIONS = (
    Operation(
        "list_routes",
        "GET",
        "/routes",
        INSTALLATION_READ,
        "List the routes in force, and the digest of their configuration",
        _routes,
        answer=RoutesDocument,
        operators_only=True,
        where="platform",
    ),
    Operation(
        "read_limits",
        "GET",
        "/limits",
        INSTALLATION_READ,
        "Show the limits in force",
        _limits,
        answer=LimitsDocument,
        operators_only=True,
        where="platform",
    ),
    Operation(
        "list_sinks",
        "GET",
        "/sinks",
        INSTALLATION_READ,
        "List sinks, and how far each has got",
        _sinks,
        answer=Page[SinkDocument],
        operators_only=True,
        where="platform",
    ),
)

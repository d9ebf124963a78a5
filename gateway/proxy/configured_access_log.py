"""The access log that a configuration asks for."""

from collections.abc import Callable

from gateway.proxy.access_log import AccessLog, Record, Share
from gateway.settings import Settings
from policies.route_table import RouteTable
from policies.rule import claims_read


def configured_access_log(settings: Settings, table: RouteTable, put: Callable[[Record], None]) -> AccessLog | None:
    """None where it is off. A route without wishes of its own follows the process."""
    wanted = settings.access_log
    if wanted.file == "off":
        return None
    of_routes = {
        route.name: Share.of(
            wanted.sample if route.access_log.sample is None else route.access_log.sample,
            refusals=(
                wanted.sample_refusals if route.access_log.sample_refusals is None else route.access_log.sample_refusals
            ),
        )
        for route in settings.routes
        if route.access_log.model_fields_set
    }
    return AccessLog(
        put,
        digest=settings.digest,
        claims=frozenset().union(*(claims_read(route.rule) for route in table.routes)),
        share=Share.of(wanted.sample, refusals=wanted.sample_refusals),
        of_routes=of_routes,
    )

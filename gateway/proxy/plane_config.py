"""What the data plane decides by: the routes, the upstreams they name, and what it tells pages of other origins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.proxy.access_log import AccessLog
from gateway.proxy.browser_app import BrowserApps
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.resource_metadata import NO_RESOURCES, Resources
from gateway.proxy.tenant_upstream import refuse_unknown
from policies.cross_origin import PageRules
from policies.route_table import RouteTable


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """The routes and the upstreams that they name. Replaced whole: ``plane.config = PlaneConfig(...)``.

    ``pages`` is what pages of other origins may read where there is no route. ``digest`` is the configuration's, which
    stands on every decision by it.
    """

    table: RouteTable
    upstreams: Mapping[str, UpstreamPool]
    resources: Resources = NO_RESOURCES
    pages: PageRules | None = None
    browser: BrowserApps | None = None
    digest: str = ""
    access_log: AccessLog | None = None
    answers_preflights: bool = field(init=False)

    def __post_init__(self) -> None:
        with_rules = self.pages is not None or any(route.pages is not None for route in self.table.routes)
        object.__setattr__(self, "answers_preflights", with_rules)
        for route in self.table.routes:
            refuse_unknown(route, self.upstreams)

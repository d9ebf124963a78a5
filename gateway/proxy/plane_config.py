"""What the data plane decides by: the routes, the upstreams they name, and what it tells pages of other origins."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.proxy.cross_origin import CrossOrigin
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.resource_metadata import NO_RESOURCES, Resources
from gateway.proxy.tenant_upstream import refuse_unknown
from policies.route_table import RouteTable


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """The routes and the upstreams that they name. Replaced whole: ``plane.config = PlaneConfig(...)``."""

    table: RouteTable
    upstreams: Mapping[str, UpstreamPool]
    resources: Resources = NO_RESOURCES
    cross_origin: CrossOrigin | None = None

    def __post_init__(self) -> None:
        for route in self.table.routes:
            refuse_unknown(route, self.upstreams)

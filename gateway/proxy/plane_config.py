"""What the data plane decides by: the routes, the upstreams they name, and what it tells pages of other origins."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.proxy.cross_origin import CrossOrigin
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.resource_metadata import NO_RESOURCES, Resources
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
            pool = self.upstreams.get(route.upstream)
            if pool is None:
                raise ValueError(f"route {route.name} names upstream {route.upstream}, which there is not")
            if pool.upstream.audience is None and not route.anonymous:
                raise ValueError(f"route {route.name} needs a token, but upstream {route.upstream} has no audience")

"""The composition of the data plane: what the APIs' half of a serving process is made of."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from gateway.access_log_file import AccessLogFile
from gateway.audit import Observation
from gateway.authn.api_key import ApiKeys
from gateway.authn.bearer import Bearer
from gateway.authn.dpop import Possession
from gateway.authn.standing import Standings
from gateway.authn.token_table import TokenTable
from gateway.installation import Installation
from gateway.log_writer import LogWriter
from gateway.otlp.exporter import Exporter
from gateway.proxy.access_line import gap, line
from gateway.proxy.browser_app import BrowserApps
from gateway.proxy.browsers import Browsers
from gateway.proxy.configured import upstreams_of
from gateway.proxy.configured_access_log import configured_access_log
from gateway.proxy.forward_auth import ForwardAuth
from gateway.proxy.identity_token import IdentityTokens
from gateway.proxy.plane import DataPlane
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.pools import Pools
from gateway.proxy.registered_origins import RegisteredOrigins
from gateway.proxy.resource_metadata import Resources
from gateway.proxy.tracer import Tracer
from gateway.settings import Settings, compile_routes
from tenants.active_keys import ActiveKeys
from tenants.api_key_uses import ApiKeyUses
from tenants.snapshot import Snapshot

_LAST_LINES = 5.0  # seconds that the access log's disk may take at the end


def data_plane(
    installation: Installation,
    snapshot: Snapshot,
    upstreams: Pools,
    uses: ApiKeyUses,
    writer: LogWriter,
    *,
    possession: Possession,
    feed_fresh: Callable[[], bool],
    observe: Callable[[Observation], None],
    browsers: Browsers | None = None,
    exporter: Exporter | None = None,
) -> DataPlane:
    """The application of the API hosts. Its tokens are remembered apart from those that identity is shown."""
    settings = installation.settings

    def issuer_of(tenant_id: UUID) -> str | None:
        tenant = snapshot.by_id(tenant_id)
        return tenant.issuer if tenant is not None else None

    sample = settings.otlp.sample
    tracer = None if exporter is None else Tracer(exporter, sample=sample, digest=lambda: plane.config.digest)
    api_keys = ApiKeys(snapshot, lambda: installation.clock().timestamp(), uses.note)
    plane = DataPlane(
        plane_config(settings, upstreams.current, snapshot, writer=writer),
        authenticate=Bearer(snapshot, TokenTable(), time.time, api_keys=api_keys.authenticate).authenticate,
        possession=possession,
        feed_fresh=feed_fresh,
        standings=Standings(snapshot),
        observe=observe,
        identities=IdentityTokens(ActiveKeys(installation.store, snapshot), issuer_of, time.time),
        registered=RegisteredOrigins(snapshot),
        counters=settings.limits.counters,
        trusted_proxies=settings.trusted_proxies,
        browsers=browsers,
        tracer=tracer,
    )
    return plane


def forward_auth(settings: Settings, plane: DataPlane, observe: Callable[[Observation], None]) -> ForwardAuth | None:
    """The application of the listener where other proxies ask, if there is one."""
    if settings.forward_auth.listen is None:
        return None
    return ForwardAuth(
        plane,
        peers=settings.forward_auth.peers,
        trusted_proxies=settings.trusted_proxies,
        api_hosts=settings.api_host_set(),
        observe=observe,
    )


def next_config(
    plane: DataPlane, pools: Pools, writer: LogWriter, snapshot: Snapshot, settings: Settings
) -> Callable[[], None]:
    """What takes another configuration, which is made here, and may take its time. Nothing is left to fail.

    Raises:
        ConfigError: a file of an upstream's ``tls`` is none any more.
    """
    upstreams = pools.prepared(upstreams_of(settings))
    config = plane_config(settings, upstreams, snapshot, writer=writer)

    def take() -> None:
        plane.config = config
        pools.take(upstreams)

    return take


def plane_config(
    settings: Settings,
    upstreams: Mapping[str, UpstreamPool],
    snapshot: Snapshot | None,
    *,
    writer: LogWriter | None = None,
) -> PlaneConfig:
    """The routes of the configuration, before these upstreams. Without a ``writer`` there is no access log, without a
    ``snapshot`` no tenant is known.
    """

    def issuer_of(slug: str) -> str | None:
        tenant = None if snapshot is None else snapshot.by_slug(slug)
        return tenant.issuer if tenant is not None and tenant.active else None

    table = compile_routes(settings)
    audiences = {name: pool.upstream.audience for name, pool in upstreams.items()}
    resources = Resources.of(table.routes, audiences, settings.api_host_set(), issuer_of)
    client_id, hosts = settings.browser_sessions.client, settings.api_host_set()
    browser = None if client_id is None else BrowserApps.of(table.routes, audiences, hosts, client_id)
    access_log = None if writer is None else configured_access_log(settings, table, writer.put)
    return PlaneConfig(
        table, upstreams, resources, settings.cors.rules, browser, digest=settings.digest, access_log=access_log
    )


def access_log_to_nowhere() -> AccessLogFile:
    """One that nothing was opened for yet."""
    return AccessLogFile(LogWriter(line, gap))


@asynccontextmanager
async def access_log_of(settings: Settings) -> AsyncIterator[AccessLogFile]:
    """The file that the access log goes to. What waits is written at the end of the block.

    Raises:
        ConfigError: it cannot be opened.
    """
    file = settings.access_log.file
    made = access_log_to_nowhere()
    made.take(file, await asyncio.to_thread(made.prepared, file))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.writer.close, _LAST_LINES)

"""The pools that the configuration describes, and what has to be done for them beside requests."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from gateway.jobs import Job, Jobs
from gateway.proxy.names import LookUpsInTurn
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.pools import Pools
from gateway.proxy.upstream import Health, Target, Upstream
from gateway.reload.fingerprint import fingerprint
from gateway.settings import Settings
from gateway.settings import Upstream as Configured
from gateway.settings.upstream import Health as ConfiguredHealth
from gateway.settings.upstream import Tls, tls_context


@asynccontextmanager
async def running_pools(settings: Settings) -> AsyncIterator[Pools]:
    """A pool for each upstream, by name, with its jobs. Look-ups of names wait for each other."""
    look_ups = LookUpsInTurn()
    pools = Pools(
        lambda upstream: UpstreamPool(upstream, resolve=look_ups.resolve), lambda pool: Jobs(pool_jobs([pool]))
    )
    pools.take(pools.prepared(upstreams_of(settings)))
    try:
        yield pools
    finally:
        await pools.close()


def upstreams_of(settings: Settings) -> list[Upstream]:
    """All of them. Raises ``TlsProblem`` as ``upstream_of`` does."""
    return [upstream_of(name, configured) for name, configured in settings.upstreams.items()]


def pool_jobs(pools: Iterable[UpstreamPool]) -> list[Job]:
    """Names are looked up again, and targets asked for their health."""
    jobs = []
    for pool in pools:
        upstream = pool.upstream
        if pool.names.any:
            jobs.append(
                Job(f"names of {upstream.name}", upstream.resolve_every.total_seconds(), pool.look_up, cut_off=True)
            )
        if upstream.health is not None:
            interval = upstream.health.interval.total_seconds()
            jobs.append(Job(f"health of {upstream.name}", interval, pool.check_health, cut_off=True))
    return jobs


def upstream_of(name: str, configured: Configured) -> Upstream:
    """The same, as the proxy knows it. Raises ``TlsProblem`` for a file that was whole when the settings were read."""
    tls, health = configured.tls, configured.health
    targets = tuple(
        Target(each.url.at.address, each.url.at.port or 0, each.url.scheme == "https", each.weight, each.max_in_flight)
        for each in configured.targets
    )
    return Upstream(
        name=name,
        targets=targets,
        audience=configured.audience,
        connect_timeout=configured.connect_timeout,
        read_timeout=configured.read_timeout,
        first_byte_timeout=configured.first_byte_timeout,
        idle_timeout=configured.idle_timeout,
        total_timeout=configured.total_timeout,
        upload_timeout=configured.upload_timeout,
        max_in_flight=configured.max_in_flight,
        max_connections=configured.max_connections,
        balance=configured.balance,
        health=None if health is None else _health(health),
        networks=configured.networks or (),
        resolve_every=configured.resolve_every,
        tls=tls_context(tls) if any(target.tls for target in targets) else None,
        tls_files=() if tls is None else _files(tls),
        server_name=None if tls is None else tls.server_name,
    )


def _files(tls: Tls) -> tuple[object, ...]:
    """By what two upstreams are told apart whose settings are the same, and their certificates are not."""
    paths = (tls.ca_file, tls.certificate_file, tls.key_file)
    return tuple((path, fingerprint(path)) for path in paths if path is not None)


def _health(configured: ConfiguredHealth) -> Health:
    return Health(
        configured.path,
        None if configured.host is None else str(configured.host),
        configured.interval,
        configured.timeout,
        configured.failures,
        configured.successes,
    )

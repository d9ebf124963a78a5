"""The pools that the configuration describes, and what has to be done for them beside requests."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

from gateway.jobs import Job, Jobs
from gateway.proxy.names import LookUpsInTurn
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.pools import Pools
from gateway.proxy.upstream import Health, Target, Upstream
from gateway.reload.fingerprint import Fingerprint, fingerprint
from gateway.settings import ConfigError, Problem, Settings
from gateway.settings import Upstream as Configured
from gateway.settings.upstream import Health as ConfiguredHealth
from gateway.settings.upstream import Tls, TlsProblem, tls_context

TlsFiles = tuple[tuple[Path | None, Fingerprint | None], ...]


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
    """All of them. Those that are known by the same files share what was made of these, which is large.

    Raises:
        ConfigError: a file that was whole when the settings were read is none any more.
    """
    contexts: dict[TlsFiles, SSLContext] = {}
    return [upstream_of(name, configured, contexts) for name, configured in settings.upstreams.items()]


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


def upstream_of(name: str, configured: Configured, contexts: dict[TlsFiles, SSLContext]) -> Upstream:
    """The same, as the proxy knows it. ``contexts`` are those of other upstreams, by their files. Raises as
    ``upstreams_of`` does.
    """
    tls, health = configured.tls, configured.health
    targets = tuple(
        Target(each.url.at.address, each.url.at.port or 0, each.url.scheme == "https", each.weight, each.max_in_flight)
        for each in configured.targets
    )
    # Looked at before they are read: if they change between, that is noticed the next time.
    files = () if tls is None else _files(tls)
    if any(target.tls for target in targets) and files not in contexts:
        try:
            contexts[files] = tls_context(tls)
        except TlsProblem as problem:
            place = f"upstreams.{name}.tls.{problem.field}"
            raise ConfigError([Problem("configuration", None, place, str(problem))]) from problem
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
        tls=contexts[files] if any(target.tls for target in targets) else None,
        tls_files=files,
        server_name=None if tls is None else tls.server_name,
    )


def _files(tls: Tls) -> TlsFiles:
    """By what two upstreams are told apart whose settings are the same, and their certificates are not. Empty where
    the system's own authorities are all there is.
    """
    paths = (tls.ca_file, tls.certificate_file, tls.key_file)
    return tuple((path, fingerprint(path)) for path in paths) if any(paths) else ()


def _health(configured: ConfiguredHealth) -> Health:
    return Health(
        configured.path,
        None if configured.host is None else str(configured.host),
        configured.interval,
        configured.timeout,
        configured.failures,
        configured.successes,
    )

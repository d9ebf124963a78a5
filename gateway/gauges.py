"""What a serving process is like at the moment of a scrape: read where it stands, counted nowhere."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from gateway.metrics import Family
from gateway.proxy.pools import Pools
from gateway.proxy.streams import Streams
from tenants.audit_log import AuditLog
from tenants.hashing import HashingPool
from tenants.snapshot import Snapshot

_SUMMED = frozenset({"process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds"})
_LEAST = frozenset({"process_start_time_seconds", "process_max_fds"})


class Gauges:
    """``checks`` are those of ``/readyz``."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        audit_log: AuditLog,
        hashing: HashingPool,
        upstreams: Pools,
        streams: Streams,
        checks: Mapping[str, Callable[[], bool]],
    ) -> None:
        self._snapshot = snapshot
        self._audit_log = audit_log
        self._hashing = hashing
        self._upstreams = upstreams
        self._streams = streams
        self._checks = checks
        self._process = ProcessCollector(registry=CollectorRegistry(auto_describe=False))

    def read(self) -> Iterator[Family]:
        """As of now."""
        yield from self._of_the_process()
        yield from self._of_upstreams()
        yield Family(
            "yett_ready",
            "Whether this check of /readyz is passed: 1, else 0.",
            "gauge",
            ("check",),
            {(name,): float(check()) for name, check in self._checks.items()},
            "min",
        )
        yield _one(
            "yett_feed_silence_seconds", "Since revocations were last heard of.", self._snapshot.silent_for(), "max"
        )
        yield _one("yett_tenants", "Tenants that are known.", len(self._snapshot), "max")
        yield _one("yett_streams", "WebSockets and long answers that are watched.", len(self._streams))
        yield _one("yett_hashing_waiting", "Passwords that wait for a helper.", self._hashing.waiting)
        yield _one("yett_hashing_helpers", "Helpers that run.", len(self._hashing.pids))
        yield Family(
            "yett_audit_events",
            "Events that this process moved into the audit log: one of all processes does, and each event once.",
            "counter",
            ("type", "outcome"),
            dict(self._audit_log.sequenced.items()),
        )

    def _of_the_process(self) -> Iterator[Family]:
        yield Family(
            "yett_build_info", "The version that runs.", "gauge", ("version",), {(version("yett"),): 1.0}, "max"
        )
        for metric in self._process.collect():
            value = metric.samples[0].value
            match metric.type:
                case "counter":
                    yield Family(metric.name, metric.documentation, "counter", (), {(): value})
                case _ if metric.name in _SUMMED:
                    yield _one(metric.name, metric.documentation, value)
                case _ if metric.name in _LEAST:
                    yield Family(metric.name, metric.documentation, "gauge", (), {(): value}, "min")

    def _of_upstreams(self) -> Iterator[Family]:
        pools = self._upstreams.current
        yield Family(
            "yett_upstream_in_flight",
            "Requests that an upstream has.",
            "gauge",
            ("upstream",),
            {(name,): pool.in_flight for name, pool in pools.items()},
        )
        yield Family(
            "yett_upstream_connections",
            "Connections to an upstream, busy and idle.",
            "gauge",
            ("upstream",),
            {(name,): len(pool) for name, pool in pools.items()},
        )
        yield Family(
            "yett_upstream_targets",
            "Addresses of an upstream, by whether requests are sent there.",
            "gauge",
            ("upstream", "state"),
            {(name, state): count for name, pool in pools.items() for state, count in pool.endpoints.states().items()},
            "max",
        )


def _one(name: str, text: str, value: float, together: str = "sum") -> Family:
    return Family(name, text, "gauge", (), {(): value}, "max" if together == "max" else "sum")

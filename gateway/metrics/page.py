"""``/metrics`` on the management listener, in the text format of Prometheus, or OpenMetrics where it is asked for,
which alone has exemplars. The names tell no secret and no tenant, so it wants no token.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from fastapi import APIRouter
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Exemplar
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gateway.metrics.family import Family, Histogram


def metrics_router(read: Callable[[], Sequence[Family]]) -> APIRouter:
    """``read`` says what there is as of now, each name once."""
    router = APIRouter()

    @router.get("/metrics")
    async def metrics(request: Request) -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # it names a version that is none
            encode, content_type = choose_encoder("")
        found = CollectorRegistry(auto_describe=False)
        found.register(_Read(read()))
        # Writing thousands of lines takes tens of milliseconds, which belong to requests.
        return Response(await run_in_threadpool(encode, found), headers={"content-type": content_type})

    return router


class _Read(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """For the library, in its own types."""
        for family in self._families:
            yield _metric(family)


def _metric(family: Family) -> Metric:
    labels = family.labels
    if family.kind == "histogram":
        of_time = HistogramMetricFamily(family.name, family.help, labels=labels)
        for values, value in family.values.items():
            if isinstance(value, Histogram):
                of_time.add_metric(values, _buckets(value), value.total)
        return of_time
    made = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(
        family.name, family.help, labels=labels
    )
    for values, value in family.values.items():
        if not isinstance(value, Histogram):
            made.add_metric(values, value)
    return made


def _buckets(value: Histogram) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    found: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    so_far = 0
    bounds = [*map(str, value.bounds), "+Inf"]
    for bound, count, example in zip(bounds, value.counts, value.exemplars, strict=True):
        so_far += count
        if example is None:
            found.append((bound, so_far))
        else:
            trace_id, seconds, when = example
            found.append((bound, so_far, Exemplar({"trace_id": trace_id}, seconds, when)))
    return found

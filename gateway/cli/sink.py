"""``yett sink``: how far each sink has got, and whether its receiver takes an event."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.installation import utc_now
from gateway.settings import ConfigError, Problem, Settings, Sink
from gateway.settings.routing import ANY_TENANT
from gateway.settings.upstream import TlsProblem
from gateway.sinks.configured import transmitter
from gateway.sinks.deliverer import record_of
from gateway.sinks.record import nothing
from tenants.audit_event import Event, encode
from tenants.directory import PLATFORM
from tenants.sink_positions import Queued, SinkPositions, Standing

_COLUMNS = ["name", "kind", "format", "behind", "delivered_at", "failures", "problem", "failed_at", "next_at"]
_NO_TENANT = UUID(int=0)
_EVERY_TYPE = ("*",)


@click.group()
def sink() -> None:
    """See how far audit events have got on their way out, and try that way."""


@command(sink, "list")
async def list_(call: Invocation) -> None:
    """List the sinks of the configuration, and those that it had before.

    BEHIND counts the events that wait in the log. PROBLEM is the last one, whether it is over or not: FAILURES counts
    those in a row. With --json also the position in each tenant's log.
    """
    async with call.installation() as installation:
        standing = {found.name: found for found in await SinkPositions(installation.database).standing()}
        configured = {one.name: one for one in installation.settings.sinks}
        rows = [_row(name, configured.get(name), standing.get(name)) for name in sorted({*configured, *standing})]
    call.output.table(rows, _COLUMNS)


@command(sink)
@click.argument("name")
async def test(call: Invocation, name: str) -> None:
    """Send one event of the type sink.test to the sink NAME, and say what came of it.

    It is in no log, and moves no position. A file is written to by whoever runs this.
    """
    settings = call.settings()
    chosen = next((one for one in settings.sinks if one.name == name), None)
    if chosen is None:
        known = ", ".join(one.name for one in settings.sinks) or "none"
        raise Refused(f"there is no sink {name!r} in the configuration (there are: {known})")
    problem = await _try(chosen, settings)
    if problem is not None:
        raise Refused(f"{name} did not take the event: {problem}")
    call.output.say(f"{name} took the event", sink=name, taken=True)


async def _try(chosen: Sink, settings: Settings) -> str | None:
    try:
        way = transmitter(chosen, settings, utc_now)
    except TlsProblem as problem:  # it was there when the configuration was read
        raise ConfigError([Problem(chosen.name, None, problem.field, str(problem))]) from problem
    event = encode(Event("sink.test", "notice"), event_id=uuid4(), tenant_id=_NO_TENANT, at=utc_now())
    record = record_of(Queued(_NO_TENANT, PLATFORM, 0, event), chosen.model_copy(update={"types": _EVERY_TYPE}))
    if record is None:
        raise AssertionError("an event that has a body, of a type that is wanted")
    try:
        async with asyncio.timeout(chosen.timeout.total_seconds()):
            receipt = await way.send([record])
    except TimeoutError:
        receipt = nothing("timed_out")
    return receipt.problem


def _row(name: str, configured: Sink | None, standing: Standing | None) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "configured": configured is not None,
        "kind": None if configured is None else configured.kind,
        "format": None if configured is None else configured.format,
    }
    if standing is None:
        return found
    wanted = None if configured is None or ANY_TENANT in configured.tenants else configured.tenants
    tenants = {slug: ends for slug, ends in standing.tenants.items() if wanted is None or slug in wanted}
    return found | {
        "behind": sum(size - following for following, size in tenants.values()),
        "began_at": standing.began_at,
        "delivered_at": standing.delivered_at,
        "failures": standing.failures,
        "problem": standing.problem,
        "failed_at": standing.failed_at,
        "next_at": standing.next_at,
        "tenants": [
            {"tenant": slug, "next": following, "size": size} for slug, (following, size) in sorted(tenants.items())
        ],
    }

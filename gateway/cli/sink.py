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
from gateway.sinks.record import nothing
from gateway.sinks.recorded import record_of
from tenants.audit_event import Event, encode
from tenants.directory import PLATFORM
from tenants.sink_batch import Queued
from tenants.sink_standing import Place, Standing, standing

_COLUMNS = [
    "name", "kind", "behind", "waiting_since", "refused", "failures", "failing_since", "problem", "failed_at",
    "delivered_at", "next_at",
]  # fmt: skip
_NO_TENANT = UUID(int=0)
_NO_LEAF = bytes(32)
_TYPE, _EVERY_TYPE = "sink.test", ("*",)


@click.group()
def sink() -> None:
    """See how far audit events have got on their way out, and try that way."""


@command(sink, "list")
async def list_(call: Invocation) -> None:
    """List the sinks of the configuration, and those that it had before.

    BEHIND counts the events that wait in the log, the oldest since WAITING_SINCE. REFUSED counts what the receiver will
    never take. FAILURES are those in a row, since FAILING_SINCE; PROBLEM is the last one, whether it is over or not.
    With --json also the position in each tenant's log, and the size of the newest checkpoint that was sent.
    """
    async with call.installation() as installation:
        known = {found.name: found for found in await standing(installation.database)}
        configured = {one.name: one for one in installation.settings.sinks}
        rows = [_row(name, configured.get(name), known.get(name)) for name in sorted({*configured, *known})]
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
    event_id, now = uuid4(), utc_now()
    event = encode(Event(_TYPE, "notice"), event_id=event_id, tenant_id=_NO_TENANT, at=now)
    entry = Queued(_NO_TENANT, PLATFORM, 0, str(event_id), _TYPE, now, _NO_LEAF, event)
    record = record_of(entry, chosen.model_copy(update={"types": _EVERY_TYPE}))
    if record is None:
        raise AssertionError("it is of a type that is wanted")
    try:
        async with asyncio.timeout(chosen.timeout.total_seconds()):
            receipt = await way.send([record])
    except TimeoutError:
        receipt = nothing("timed_out")
    return receipt.problem or next(iter(receipt.refused.values()), None)


def _row(name: str, configured: Sink | None, stands: Standing | None) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "configured": configured is not None,
        "kind": None if configured is None else configured.kind,
        "format": None if configured is None else configured.format,
    }
    if stands is None:
        return found
    wanted = None if configured is None or ANY_TENANT in configured.tenants else configured.tenants
    places = {slug: place for slug, place in stands.tenants.items() if wanted is None or slug in wanted}
    return found | {
        "behind": stands.behind(wanted),
        "waiting_since": min((place.waiting_since for place in places.values() if place.waiting_since), default=None),
        "began_at": stands.began_at,
        "delivered_at": stands.delivered_at,
        "refused": stands.refused,
        "failures": stands.failures,
        "failing_since": stands.failing_since,
        "problem": stands.problem,
        "failed_at": stands.failed_at,
        "next_at": stands.next_at,
        "tenants": [{"tenant": slug, **_place(place)} for slug, place in sorted(places.items())],
    }


def _place(place: Place) -> Mapping[str, Any]:
    return {"next": place.next, "size": place.size, "checkpoint": place.checkpoint}

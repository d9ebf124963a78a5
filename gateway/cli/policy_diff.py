"""``yett policy diff``: what another configuration would have decided otherwise about a recorded day."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import click

from gateway import settings as configuration
from gateway.cli.errors import Refused, SaidNo
from gateway.cli.options import Invocation, command
from gateway.proxy.replay import Change, Outcome, Replay
from gateway.rehearsing.gate import rehearsal
from gateway.rehearsing.words import as_fields, sentence

_LONGEST: Final = 1024 * 1024  # bytes of a line
_STDIN: Final = "-"
_TELL_EVERY: Final = 2.0  # seconds
_LOOK_EVERY: Final = 1000  # lines


@command(None, "diff", configured=False)
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--replay",
    "logs",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    multiple=True,
    required=True,
    help="An access log; - reads it from standard input. Repeatable.",
)
async def diff(call: Invocation, old: Path, new: Path, logs: tuple[str, ...]) -> None:
    """Decide the requests of an access log by the configurations OLD and NEW, and show what NEW decides otherwise.

    Exits 0 where nothing changes, 1 where something does, or where nothing of the log could be decided.
    """
    before, after = (configuration.load(path, call.environ) for path in (old, new))
    replay = Replay(rehearsal(before), rehearsal(after), before.digest)
    for log in logs:
        _read(replay, log)
    outcome = replay.outcome
    if outcome.unreadable and not outcome.decided and not outcome.unknown:
        raise Refused(f"none of {outcome.lines:,} lines can be decided: is this an access log?")
    if call.output.as_json:
        call.output.say("", old=before.digest, new=after.digest, **_as_fields(outcome))
    else:
        rows = [_row(change) for change in outcome.in_order()]
        if rows:
            call.output.table(rows, ("count", "route", "before", "after", "example"))
        call.output.say("\n".join(_sentences(outcome)))
    if outcome.changes or (outcome.unknown and not outcome.decided):
        raise SaidNo


def _read(replay: Replay, log: str) -> None:
    replay.begin("standard input" if log == _STDIN else log)
    if log == _STDIN:
        _take(replay, sys.stdin.buffer, None)
        return
    with Path(log).open("rb") as file:
        _take(replay, file, os.fstat(file.fileno()).st_size)


def _take(replay: Replay, file: BinaryIO, size: int | None) -> None:
    progress, read = Progress(size), 0
    for line, whole in _lines(file):
        read += len(line)
        if whole:
            replay.take(line)
        else:
            replay.pass_over("is longer than 1 MiB")
        if replay.outcome.lines % _LOOK_EVERY == 0:
            progress.tell(replay.outcome.lines, read)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it is all of it; of one that is too long only the beginning is kept."""
    while line := file.readline(_LONGEST):
        whole = line.endswith(b"\n") or len(line) < _LONGEST
        rest = line
        while not rest.endswith(b"\n") and len(rest) == _LONGEST:
            rest = file.readline(_LONGEST)
        yield line, whole


class Progress:
    """A line on standard error now and then, while a long file is read."""

    def __init__(self, size: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._told = clock()

    def tell(self, lines: int, read: int) -> None:
        """So far."""
        now = self._clock()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            share = f", {read * 100 // self._size} %" if self._size else ""
            click.echo(f"{lines:,} lines{share}", err=True)


def _row(change: Change) -> dict[str, object]:
    moved = "" if change.before.route == change.after.route else f" -> {change.after.route or 'none'}"
    who = "" if change.example["subject"] is None else f" by {change.example['subject']}"
    return {
        "count": change.count,
        "route": f"{change.before.route or 'none'}{moved}",
        "before": sentence(change.before),
        "after": sentence(change.after),
        "example": f"{change.example['request']}{who} ({change.example['request_id']})",
    }


def _sentences(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.changed:,} of {outcome.decided:,} requests would be decided otherwise"
    if outcome.sampled:
        estimate = round(sum(change.estimate for change in outcome.changes.values()))
        yield (
            f"this is partial: {outcome.sampled:,} lines are samples of their kind; about {estimate:,} requests would "
            "change in all, and rare ones may not be here"
        )
    elif outcome.left_out:
        yield "this is partial: requests of some kinds were not logged at all, or hardly any (`access_log.sample`)"
    if outcome.beyond:
        yield f"{outcome.beyond:,} of them are of further kinds, which are not listed"
    if outcome.dropped:
        yield f"this is partial: {outcome.dropped:,} lines were dropped when the log was written"
    for what, count in sorted(outcome.unknown.items()):
        yield f"{count:,} cannot be decided: the log does not say {what}"
    if outcome.otherwise:
        yield (
            f"{outcome.otherwise:,} were decided otherwise at that time by the same configuration: by something that "
            "the log does not say"
        )
    for why, count in sorted(outcome.unreadable.items()):
        yield f"{count:,} lines cannot be read: each {why}"
    if outcome.first_unreadable is not None:
        yield f"the first of them is {outcome.first_unreadable}"


def _as_fields(outcome: Outcome) -> dict[str, object]:
    return {
        "lines": outcome.lines,
        "decided": outcome.decided,
        "unchanged": outcome.unchanged,
        "changed": outcome.changed,
        "partial": outcome.partial,
        "beyond": outcome.beyond,
        "sampled": outcome.sampled,
        "dropped": outcome.dropped,
        "otherwise": outcome.otherwise,
        "unknown": dict(outcome.unknown),
        "unreadable": dict(outcome.unreadable),
        "first_unreadable": outcome.first_unreadable,
        "changes": [
            {
                "count": change.count,
                "estimate": round(change.estimate),
                "before": as_fields(change.before),
                "after": as_fields(change.after),
                "example": change.example,
            }
            for change in outcome.in_order()
        ],
    }

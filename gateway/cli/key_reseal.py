"""``yett key reseal``: the move to another master key while everything runs, and whether the old one may go.

Owns the order of the portions and what is said. The walk itself is tenants/resealing.py's, the ring sealing.py's.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import click

from gateway.cli.errors import Refused, SaidNo
from gateway.cli.import_check import progress
from gateway.cli.options import Invocation, actor, command
from gateway.cli.turns import Turns
from gateway.installation import Installation
from tenants import serving
from tenants.resealing import Count, Portion, Resealing, SealedColumn, sealed_columns
from tenants.sealing import MasterKey

PortionOf = Callable[[SealedColumn, Sequence[Any] | None], Awaitable[Portion]]

_PASSES: Final = 5
"""Rows that others hold are left for the next pass."""
_SHOWN: Final = 20


@command(None, "new-master")
def new_master(call: Invocation) -> None:
    """Print a new master key, as a line for the file that `master_key_file` names."""
    made = MasterKey.random()
    call.output.say(made.line().rstrip("\n"), id=made.id, line=made.line().rstrip("\n"))


@command(None, "reseal")
@click.option("--check", is_flag=True, help="Only say what is sealed under which key, and which key may be removed.")
@click.option("--dry-run", is_flag=True, help="Open everything that would be resealed, write nothing.")
async def reseal(call: Invocation, check: bool, dry_run: bool) -> None:
    """Seal all secrets of all tenants under the first master key of the file. It runs beside the service.

    Before, every process has to have that key. An interrupted run is gone on with by running it again. Exit code 1:
    something is still sealed under another key, or would not open; it is said which.
    """
    if check and dry_run:
        raise click.UsageError("--check and --dry-run exclude each other")
    async with call.installation() as installation:
        work = Resealing(installation.database, installation.master_keys, installation.clock)
        if check:
            keys = await _keys(installation, work)
            call.output.table([each.row() for each in keys], ["key", "ring", "rows", "processes", "removable"])
            if not all(each.is_done for each in keys):
                raise SaidNo
            return
        await _refuse_if_some_lack_it(installation)
        if dry_run:
            portion: PortionOf = work.rehearse
        else:
            portion = partial(work.reseal, platform=(await installation.platform()).id, actor=actor())
        done = await _walk(installation, work, portion, passes=1 if dry_run else _PASSES)
        left = {} if dry_run else _under_others(await work.counts(), installation.master_keys.active_id)
    _say(call, installation.master_keys.active_id, done, left, dry_run=dry_run)
    if done.unopened or left:
        raise SaidNo


@dataclass(slots=True)
class _Key:
    """A master key of the ring, or one that is missing from it though something is sealed under it."""

    id: str
    ring: str
    columns: dict[str, int] = field(default_factory=dict)
    processes: int = 0

    @property
    def rows(self) -> int:
        return sum(self.columns.values())

    @property
    def removable(self) -> bool:
        return self.ring == "opens" and not self.rows and not self.processes

    @property
    def is_done(self) -> bool:
        return self.ring == "seals" or self.removable

    def row(self) -> dict[str, object]:
        """``processes`` are those that seal with it."""
        told: dict[str, object] = {"key": self.id, "ring": self.ring, "rows": self.rows, "columns": self.columns}
        return told | {"processes": self.processes, "removable": self.removable}


async def _keys(installation: Installation, work: Resealing) -> Sequence[_Key]:
    active, *others = installation.master_keys.ids
    found = {active: _Key(active, "seals")} | {key_id: _Key(key_id, "opens") for key_id in others}
    for count in await work.counts():
        name = count.key_id or "(no envelope)"
        found.setdefault(name, _Key(name, "missing")).columns[count.column] = count.rows
    for ring in await serving.rings(installation.database):
        name = ring[0] if ring else "(not said)"
        found.setdefault(name, _Key(name, "missing")).processes += 1
    return list(found.values())


async def _refuse_if_some_lack_it(installation: Installation) -> None:
    """Whoever lacks the key could open nothing that is resealed."""
    active = installation.master_keys.active_id
    lacking = sum(active not in ring for ring in await serving.rings(installation.database))
    if lacking:
        raise Refused(
            f"{lacking} serving processes do not have the master key {active}: put it into the file of each and reload "
            "or restart them; who has stopped counts for ten seconds more"
        )


@dataclass(slots=True)
class _Done:
    rows: Counter[str] = field(default_factory=Counter)
    unopened: list[str] = field(default_factory=list)


async def _walk(installation: Installation, work: Resealing, portion: PortionOf, *, passes: int) -> _Done:
    done, turns = _Done(), Turns(polite=installation.database.is_sqlite)
    counts = await work.counts()
    wanted = sum(_under_others(counts, installation.master_keys.active_id).values())
    with progress("resealing", wanted) as bar:
        for _ in range(passes):
            moved, done.unopened = 0, []
            for sealed in sealed_columns():
                moved += await _column(portion, sealed, done, turns, bar)
            if not moved:
                break
    return done


async def _column(portion: PortionOf, sealed: SealedColumn, done: _Done, turns: Turns, bar: Any) -> int:
    moved, after, more = 0, None, True
    while more:
        async with turns.next():
            its = await portion(sealed, after)
        moved += its.resealed
        done.unopened += its.unopened
        after, more = its.last, its.last is not None
        bar.update(its.resealed)
    if moved:
        done.rows[sealed.name] += moved
    return moved


def _under_others(counts: Sequence[Count], active: str) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for count in counts:
        if count.key_id != active:
            found[count.column] += count.rows
    return found


def _say(call: Invocation, active: str, done: _Done, left: Mapping[str, int], *, dry_run: bool) -> None:
    for line in done.unopened[:_SHOWN]:
        click.echo(f"yett: {line}", err=True)
    if len(done.unopened) > _SHOWN:
        click.echo(f"yett: and {len(done.unopened) - _SHOWN:,} more", err=True)
    total, rest = sum(done.rows.values()), sum(left.values())
    sentence = f"{total:,} secrets {'can be' if dry_run else 'were'} sealed under the master key {active}"
    if rest:
        sentence += f"; {rest:,} are still under another: run it again, and --check says under which"
    call.output.say(
        sentence,
        master_key=active,
        resealed=dict(done.rows),
        left=dict(left),
        unopened=len(done.unopened),
        dry_run=dry_run,
    )

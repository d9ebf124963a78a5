"""Whether an audit file says what was signed: line by line, in constant memory, and where not, which event.

Stands on a checkpoint whose signature was checked before. In a whole log each block of 256 events is proved by itself,
so that what was altered is found where it is, whatever else was made to fit it. Not here: lines' spelling
(audit_file.py), signatures.
"""

import json
from dataclasses import dataclass, field
from typing import NoReturn, assert_never

from policies.audit_file import Block, End, FiledEvent, Malformed, read_line
from policies.checkpoint import Checkpoint
from policies.merkle import TILE, Edge, entry_hash, folded, leaf_hash, root_of
from policies.merkle_proof import included

MOST_FINDINGS = 100
"""No more are told: who altered everything is not listed line by line."""
_LONGEST_ID = 36


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it was signed. ``position`` is the event's, or the first one's; ``line`` counts from 1."""

    problem: str
    line: int | None = None
    position: int | None = None
    event_id: str | None = None


@dataclass(slots=True)
class Report:
    """``events`` were there, ``erased`` of them without their body. Whole where nothing was found."""

    events: int = 0
    erased: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything is as it was signed."""
        return not self.findings

    def find(self, finding: Finding) -> None:
        """Take note, up to the bound."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)


class Unreadable(Exception):
    """What follows cannot be placed, so nothing more can be said; the report has the reason."""


class WholeLog:
    """A log from its first event to its checkpoint, and perhaps beside a checkpoint that somebody holds."""

    def __init__(self, checkpoint: Checkpoint, held: Checkpoint | None) -> None:
        self.report = Report()
        self._checkpoint = checkpoint
        self._held = held
        self._blocks = Edge()
        self._leaves: list[bytes] = []
        self._next = 0
        self._block_ends = min(TILE, checkpoint.size)
        if held is not None and held.size > checkpoint.size:
            self.report.find(
                Finding(
                    f"the end was cut off: the checkpoint that you hold has {held.size} events, and this log "
                    f"{checkpoint.size}",
                    position=checkpoint.size,
                )
            )
        self._compare_at(0)

    def feed(self, number: int, line: bytes) -> None:
        """The next line.

        Raises:
            Unreadable: it is none that can stand here.
        """
        match _read(self.report, number, line, self._next):
            case FiledEvent() as event:
                self._event(number, event)
            case Block() as block:
                self._block(number, block)
            case End():
                _stop(self.report, "a whole log has no line that says its end", number)
            case never:
                assert_never(never)

    def close(self, number: int) -> Report:
        """After the last line, ``number`` of them."""
        position, size = self._next, self._checkpoint.size
        if position < size:
            self.report.find(
                Finding(f"the file ends here, and the checkpoint has {size} events", number, position=position)
            )
        elif self._leaves:
            self.report.find(Finding("the proof of the last block is missing", number, position=position - 1))
        elif self.report.whole and self._blocks.root() != self._checkpoint.root:
            self.report.find(Finding("the whole does not have the root that was signed"))
        return self.report

    def _event(self, number: int, event: FiledEvent) -> None:
        position = self._next
        if event.position != position or position == self._block_ends or event.proof is not None:
            _stop(self.report, self._displaced(event), number, position, event)
        _check_body(self.report, number, event)
        self._leaves.append(event.leaf)
        self._next = position + 1
        if self._held is not None:
            self._compare_at(position + 1)

    def _block(self, number: int, block: Block) -> None:
        first, end = self._blocks.size * TILE, self._next
        if block.number != self._blocks.size or not self._leaves or end != self._block_ends:
            _stop(self.report, f"event {end} should stand here, and the proof of a block does", number, end)
        root, blocks = root_of(self._leaves), -(-self._checkpoint.size // TILE)
        if not included(root, block.number, blocks, block.proof, self._checkpoint.root):
            told = (
                f"one or more of the events {first} to {end - 1} are not those that were signed, or not in this order"
            )
            self.report.find(Finding(told, number, first))
        self._blocks.extend([root])
        self._leaves.clear()
        self._block_ends = min(end + TILE, self._checkpoint.size)

    def _displaced(self, event: FiledEvent) -> str:
        expected = self._next
        if event.proof is not None:
            return "an event of a whole log has no proof of its own"
        if event.position > expected:
            return f"event {expected} is missing: event {event.position} stands in its place"
        if event.position < expected:
            return f"event {event.position} stands behind event {expected - 1}: it was inserted, doubled or moved"
        if expected == self._checkpoint.size and not self._leaves:
            return f"an event too many: the checkpoint has {self._checkpoint.size}"
        return "the proof of the block should stand here, and an event does"

    def _compare_at(self, size: int) -> None:
        """The checkpoint that somebody holds, once its events were read."""
        if self._held is None or self._held.size != size:
            return
        tail = [root_of(self._leaves)] if self._leaves else []
        if folded([*self._blocks.hashes, *tail]) != self._held.root:
            told = f"a fork: these {size} events are not those of the checkpoint that you hold"
            self.report.find(Finding(told, position=max(size - 1, 0)))


class Selected:
    """Some events of a log, each with its own proof. Whether they are all that were asked for is not proved."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.report = Report()
        self._checkpoint = checkpoint
        self._last = -1
        self._ended = False

    def feed(self, number: int, line: bytes) -> None:
        """The next line.

        Raises:
            Unreadable: it is none that can stand here.
        """
        part = _read(self.report, number, line, None)
        if self._ended:
            _stop(self.report, "there is a line behind the end", number)
        match part:
            case FiledEvent(proof=list(proof)) as event:
                _check_body(self.report, number, event)
                if event.position <= self._last:
                    told = f"event {event.position} stands behind event {self._last}: twice, or in another order"
                    self.report.find(Finding(told, number, event.position, _id_of(event)))
                elif not included(event.leaf, event.position, self._checkpoint.size, proof, self._checkpoint.root):
                    told = f"event {event.position} is not the one that was signed in this place"
                    self.report.find(Finding(told, number, event.position, _id_of(event)))
                self._last = event.position
            case End(events):
                self._ended = True
                if events != self.report.events:
                    told = f"{events} events were written and {self.report.events} are there"
                    self.report.find(Finding(told, number))
            case FiledEvent() | Block():
                _stop(self.report, "an event of a selection has a proof of its own", number)
            case never:
                assert_never(never)

    def close(self, number: int) -> Report:
        """After the last line, ``number`` of them."""
        if not self._ended:
            self.report.find(Finding("the file ends before the line that says its end", number))
        return self.report


def _read(report: Report, number: int, line: bytes, position: int | None) -> FiledEvent | Block | End:
    try:
        return read_line(line)
    except Malformed as error:
        _stop(report, str(error), number, position)


def _stop(
    report: Report, problem: str, line: int, position: int | None = None, event: FiledEvent | None = None
) -> NoReturn:
    report.find(Finding(problem, line, position, None if event is None else _id_of(event)))
    raise Unreadable


def _check_body(report: Report, number: int, event: FiledEvent) -> None:
    report.events += 1
    if event.salt is None or event.event is None:
        report.erased += 1
        return
    try:
        body = event.event.encode()
    except UnicodeEncodeError:  # half a character cannot have been hashed
        body = b""
    if leaf_hash(entry_hash(event.salt, body)) != event.leaf:
        told = f"event {event.position} is not what was hashed: it, its salt or its leaf was changed"
        report.find(Finding(told, number, event.position, _id_of(event)))


def _id_of(event: FiledEvent) -> str | None:
    """As the event calls itself, which is not to be believed."""
    try:
        body = json.loads(event.event or "")
    except (ValueError, RecursionError):
        return None
    found = body.get("id") if isinstance(body, dict) else None
    return found[:_LONGEST_ID] if isinstance(found, str) else None

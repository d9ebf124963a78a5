"""An audit file says what was signed, or it is said where not; and no file, whoever made it, does more than that."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from policies.audit_file import (
    LONGEST_LINE,
    Block,
    End,
    FiledEvent,
    Header,
    Malformed,
    read_header,
    read_line,
    written,
)
from policies.audit_verification import MOST_FINDINGS, Report, Selected, Unreadable, WholeLog
from policies.checkpoint import Checkpoint
from policies.merkle import TILE, entry_hash, leaf_hash, root_of
from policies.merkle_proof import block_ranges, inclusion_ranges

SIZE = 2 * TILE + 40
ORIGIN = "auth.example.com/t/acme/audit"
LEAF, SALT = "A" * 43 + "=", "A" * 22 + "=="


def filed(position: int, text: str = "login.refused") -> FiledEvent:
    event = json.dumps({"id": f"event-{position}", "type": text})
    salt = position.to_bytes(16, "big")
    return FiledEvent(position, leaf_hash(entry_hash(salt, event.encode())), salt, event)


@dataclass(frozen=True)
class Log:
    """Its events, and what was signed of them."""

    events: Sequence[FiledEvent]

    @property
    def leaves(self) -> list[bytes]:
        return [event.leaf for event in self.events]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        leaves = self.leaves[:size]
        return Checkpoint(ORIGIN, len(leaves), root_of(leaves))

    def proof(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        leaves = self.leaves
        return [root_of(leaves[begin:end]) for begin, end in ranges]

    def lines(self) -> list[bytes]:
        """As an export has them, without the header."""
        found: list[FiledEvent | Block] = []
        for place, event in enumerate(self.events, start=1):
            found.append(event)
            if place % TILE == 0 or place == len(self.events):
                block = (place - 1) // TILE
                found.append(Block(block, self.proof(block_ranges(block, len(self.events)))))
        return [written(part).encode() for part in found]

    def selected(self, *positions: int) -> list[bytes]:
        of = [self.events[place]._replace(proof=self.proof(inclusion_ranges(place, SIZE))) for place in positions]
        return [written(part).encode() for part in (*of, End(len(of)))]


LOG = Log([filed(position) for position in range(SIZE)])
LINES = LOG.lines()
CHECKPOINT = LOG.checkpoint()


def verified(lines: Sequence[bytes], held: Checkpoint | None = None, *, signed: Checkpoint = CHECKPOINT) -> Report:
    return fed(WholeLog(signed, held), lines)


def fed(check: WholeLog | Selected, lines: Sequence[bytes]) -> Report:
    number = 1
    try:
        for number, line in enumerate(lines, start=2):
            check.feed(number, line)
    except Unreadable:
        return check.report
    return check.close(number)


def line_of(position: int) -> int:
    """Where the event stands among LINES: behind the proofs of the blocks before it."""
    return position + position // TILE


def altered(position: int, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    lines = list(LINES)
    fields = json.loads(lines[line_of(position)])
    change(fields)
    lines[line_of(position)] = json.dumps(fields).encode()
    return lines


def found(report: Report) -> tuple[int | None, int | None, str | None]:
    assert not report.whole
    (first, *_) = report.findings
    return first.line, first.position, first.event_id


# --- whole


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 513])
def test_a_log_of_any_size_is_whole(size: int) -> None:
    log = Log(LOG.events[:size])
    report = verified(log.lines(), signed=log.checkpoint())
    assert report.findings == []
    assert (report.events, report.erased) == (size, 0)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 300, 512, SIZE])
def test_a_log_is_whole_beside_each_checkpoint_that_it_had(size: int) -> None:
    assert verified(LINES, LOG.checkpoint(size)).findings == []


def test_an_erased_event_is_counted_and_the_rest_is_proved() -> None:
    lines = altered(300, lambda fields: fields.update(event=None, salt=None))
    report = verified(lines)
    assert report.findings == []
    assert (report.events, report.erased) == (SIZE, 1)


# --- tampering: what was done, and what is said of it


@pytest.mark.parametrize("position", [0, 255, 256, 300, SIZE - 1])
def test_a_changed_event_is_found_in_its_place(position: int) -> None:
    changed = json.dumps({"id": f"event-{position}", "type": "login.succeeded"})
    report = verified(altered(position, lambda fields: fields.update(event=changed)))
    assert found(report) == (line_of(position) + 2, position, f"event-{position}")
    assert len(report.findings) == 1
    assert report.events == SIZE


def test_a_changed_salt_and_a_changed_leaf_are_found_in_their_place() -> None:
    for change in ({"salt": SALT}, {"leaf": LEAF}):
        report = verified(altered(300, lambda fields, change=change: fields.update(change)))
        assert found(report)[:2] == (line_of(300) + 2, 300)


def test_an_event_that_was_changed_with_its_leaf_is_found_in_its_block() -> None:
    forged = filed(300, "login.succeeded")
    report = verified(altered(300, lambda fields: fields.update(json.loads(written(forged)))))
    (finding,) = report.findings
    assert "events 256 to 511" in finding.problem
    assert finding.position == 256


def test_an_event_that_was_changed_with_everything_above_it_is_found_in_its_block() -> None:
    events = list(LOG.events)
    events[300] = filed(300, "login.succeeded")
    report = verified(Log(events).lines())
    assert {finding.position for finding in report.findings} == {0, 256, 512}  # each proof was made to fit another root


@pytest.mark.parametrize("position", [0, 255, 256, SIZE - 2])
def test_a_removed_event_is_found_in_its_place(position: int) -> None:
    lines = list(LINES)
    del lines[line_of(position)]
    report = verified(lines)
    assert found(report)[1] == position


def test_a_removed_event_is_found_though_the_others_were_numbered_anew() -> None:
    left = [event for event in LOG.events if event.position != 300]
    lines = Log([event._replace(position=place) for place, event in enumerate(left)]).lines()
    assert not verified(lines).whole
    shorter = LINES[:257] + [
        written(event._replace(position=place)).encode() for place, event in enumerate(left) if place >= TILE
    ]
    report = verified(shorter)
    assert found(report)[1] in (256, 512)


@pytest.mark.parametrize("position", [0, 255, 300])
def test_an_inserted_and_a_doubled_event_are_found_in_their_place(position: int) -> None:
    for inserted in (LINES[line_of(position)], written(filed(position, "invented")).encode()):
        lines = list(LINES)
        lines.insert(line_of(position) + 1, inserted)
        report = verified(lines)
        assert found(report)[:2] == (line_of(position) + 3, position + 1)


def test_two_swapped_events_are_found_in_their_place() -> None:
    lines = list(LINES)
    here, there = line_of(300), line_of(310)
    lines[here], lines[there] = lines[there], lines[here]
    assert found(verified(lines))[:2] == (here + 2, 300)
    events = list(LOG.events)  # and with their numbers swapped, too
    events[300], events[310] = events[310]._replace(position=300), events[300]._replace(position=310)
    forged = list(LINES)
    for place in (300, 310):
        forged[line_of(place)] = written(events[place]).encode()
    (finding,) = verified(forged).findings
    assert finding.position == 256


def test_a_cut_tail_is_found() -> None:
    report = verified(LINES[:-5])
    assert found(report)[1] == SIZE - 4
    whole = Log(LOG.events[:300])  # signed as it is, by whoever has the key
    report = verified(whole.lines(), CHECKPOINT, signed=whole.checkpoint())
    assert found(report)[1] == 300
    assert "the end was cut off" in report.findings[0].problem


@pytest.mark.parametrize("size", [1, 256, 300, SIZE])
def test_a_history_that_was_signed_anew_is_found_against_a_checkpoint_that_is_held(size: int) -> None:
    events = list(LOG.events)
    events[0] = filed(0, "another beginning")
    forked = Log(events)
    assert verified(forked.lines(), signed=forked.checkpoint()).whole
    report = verified(forked.lines(), LOG.checkpoint(size), signed=forked.checkpoint())
    (finding,) = report.findings
    assert "a fork" in finding.problem


def test_a_missing_a_moved_and_an_altered_proof_of_a_block_are_found() -> None:
    proof = line_of(TILE) - 1
    missing = [line for place, line in enumerate(LINES) if place != proof]
    assert found(verified(missing))[:2] == (proof + 2, TILE)
    moved = [*LINES[:10], LINES[proof], *LINES[10:]]
    assert found(verified(moved))[:2] == (12, 10)
    swapped = [*LINES[:proof], LINES[-1], *LINES[proof + 1 :]]
    assert found(verified(swapped))[0] == proof + 2
    fields = json.loads(LINES[proof])
    fields["proof"][0] = LEAF
    assert found(verified([*LINES[:proof], json.dumps(fields).encode(), *LINES[proof + 1 :]]))[1] == 0
    assert found(verified(LINES[:-1]))[1] == SIZE - 1


def test_what_follows_the_last_event_is_found() -> None:
    for more in (LINES[-1], written(filed(SIZE)).encode(), written(End(SIZE)).encode()):
        assert not verified([*LINES, more]).whole


def test_no_more_is_told_than_a_person_reads() -> None:
    lines = [line.replace(b"login", b"logon") for line in LINES]
    report = verified(lines)
    assert len(report.findings) == MOST_FINDINGS
    assert report.events == SIZE


# --- a selection


def test_each_event_of_a_selection_is_proved_by_itself() -> None:
    report = fed(Selected(CHECKPOINT), LOG.selected(0, 7, 300, SIZE - 1))
    assert report.findings == []
    assert report.events == 4
    assert fed(Selected(CHECKPOINT), LOG.selected()).whole


def test_an_altered_selection_is_found() -> None:
    lines = LOG.selected(7, 300, 301)
    fields = [json.loads(line) for line in lines]

    def without(name: str) -> bytes:
        return json.dumps({key: value for key, value in fields[1].items() if key != name}).encode()

    forged = written(filed(300, "invented")._replace(proof=LOG.proof(inclusion_ranges(300, SIZE)))).encode()
    moved = json.dumps(fields[1] | {"position": 299}).encode()
    beyond = json.dumps(fields[1] | {"position": SIZE}).encode()
    for change in (forged, moved, beyond, without("proof"), json.dumps(fields[1] | {"event": "{}"}).encode()):
        report = fed(Selected(CHECKPOINT), [lines[0], change, *lines[2:]])
        assert found(report)[0] == 3, change
    swapped = [lines[0], lines[2], lines[1], lines[3]]
    assert found(fed(Selected(CHECKPOINT), swapped))[:2] == (4, 300)
    assert not fed(Selected(CHECKPOINT), lines[:-1]).whole
    assert not fed(Selected(CHECKPOINT), [*lines[:1], *lines[2:]]).whole
    assert not fed(Selected(CHECKPOINT), [*lines, lines[-1]]).whole
    assert not fed(Selected(CHECKPOINT), [LINES[TILE], *lines]).whole


# --- hostile files


DEEP = b'{"position":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
EVENT = {"position": 0, "leaf": LEAF, "salt": SALT, "event": "{}"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "a line is an event"),
        (b"{" * 5, "not JSON"),
        (DEEP, "nested too deeply"),
        (b" " * (LONGEST_LINE + 1), "longer than"),
        (b'{"position":0,"position":0}', "a field is there twice"),
        (b'{"position":NaN}', "no whole number"),
        (b'{"position":Infinity}', "no whole number"),
        (b'{"position":1e9}', "no whole number"),
        (b'{"position":0.0}', "no whole number"),
        (b'{"position":' + b"9" * 5000 + b"}", "too large"),
        (json.dumps(EVENT | {"position": -1}).encode(), "no whole number from 0"),
        (json.dumps(EVENT | {"position": True}).encode(), "no whole number from 0"),
        (json.dumps(EVENT | {"position": "0"}).encode(), "no whole number from 0"),
        (json.dumps(EVENT | {"leaf": None}).encode(), "leaf is missing"),
        (json.dumps(EVENT | {"leaf": "?"}).encode(), "leaf is not the base64 of 32"),
        (json.dumps(EVENT | {"leaf": LEAF + "\n"}).encode(), "leaf is not the base64 of 32"),
        (json.dumps(EVENT | {"leaf": LEAF[:-2] + "B="}).encode(), "leaf is not the base64 of 32"),
        (json.dumps(EVENT | {"salt": LEAF}).encode(), "salt is not the base64 of 16"),
        (json.dumps(EVENT | {"salt": None}).encode(), "salt is missing"),
        (json.dumps(EVENT | {"event": None}).encode(), "has no salt"),
        (json.dumps(EVENT | {"event": {}}).encode(), "event is the text"),
        (json.dumps({"position": 0, "leaf": LEAF, "salt": SALT}).encode(), "event is the text"),
        (json.dumps(EVENT | {"proof": None}).encode(), "proof is no list"),
        (json.dumps(EVENT | {"proof": [LEAF] * 65}).encode(), "proof is no list"),
        (json.dumps(EVENT | {"proof": ["A"]}).encode(), "proof is not the base64"),
        (json.dumps(EVENT | {"verified": "yes"}).encode(), "not proved"),
        (json.dumps({"block": 0, "proof": "A"}).encode(), "proof is no list"),
        (json.dumps({"end": None}).encode(), "no whole number from 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_that_is_none_is_told_with_its_number(line: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read_line(line)
    report = verified([*LINES[:3], line])
    (finding,) = report.findings
    assert says in finding.problem
    assert finding.line == 5


def test_an_event_that_is_no_text_that_was_hashed_is_found() -> None:
    for text in ("\ud800", "[" * 100_000, "null", '{"id":7}', '{"id":"' + "x" * 500 + '"}'):
        report = verified(altered(0, lambda fields, text=text: fields.update(event=text)))
        (finding,) = report.findings
        assert finding.position == 0
        assert len(finding.event_id or "") <= 36


HEADER = {"yett_audit": 1, "kind": "log", "tenant": "acme", "checkpoint": "a note"}


def test_a_header_is_read_as_it_is_written() -> None:
    for header in (
        Header("log", "acme", "a note"),
        Header("events", "acme", "a note", {"types": ["login.*"]}),
        Header("consistency", "acme", "a note", earlier="another", proof=[bytes(32)]),
    ):
        assert read_header(written(header).encode()) == header


@pytest.mark.parametrize(
    "fields",
    [
        {},
        EVENT,
        HEADER | {"yett_audit": 2},
        HEADER | {"kind": "other"},
        HEADER | {"kind": None},
        HEADER | {"kind": []},
        HEADER | {"tenant": None},
        HEADER | {"checkpoint": 7},
        HEADER | {"selection": []},
        HEADER | {"verified": True},
        HEADER | {"proof": []},
        HEADER | {"kind": "consistency"},
        HEADER | {"kind": "consistency", "earlier": "a note", "proof": [7]},
    ],
)
def test_a_header_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_header(json.dumps(fields).encode())

"""``yett audit verify``: whether a file says what was signed. Needs the file and the key, and no installation."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from gateway.cli.errors import Refused, SaidNo
from gateway.cli.options import Invocation, command
from policies.audit_file import LONGEST_LINE, Header, Malformed, read_header
from policies.audit_verification import Finding, Report, Selected, Unreadable, WholeLog
from policies.checkpoint import Checkpoint, MalformedCheckpoint
from policies.merkle_proof import consistent
from tenants.signed_note import LARGEST_NOTE, MalformedKey, NotSigned, VerifierKey

_PROGRESS_EVERY = 100_000
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@command(None, configured=False)
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", type=_FILE, required=True, help="What `yett audit key` wrote: the log's public key.")
@click.option(
    "--checkpoint",
    "held_file",
    type=_FILE,
    help="A checkpoint that you held: a cut end and another history are found, too.",
)
async def verify(call: Invocation, file: Path, key_file: Path, held_file: Path | None) -> None:
    """Verify FILE: an export, or a proof of `prove` or `consistency`. Nothing but FILE and the key is needed.

    Exit code 0: everything in it is as it was signed. 1: it is not, and what is wrong is said.
    """
    key = _key(key_file)
    held = None if held_file is None else _held(key, held_file)
    earlier: Checkpoint | None = None
    with file.open("rb") as opened:
        lines = _lines(opened)
        header, checkpoint = _begin(lines, key)
        match header.kind:
            case "log":
                report = _feed(WholeLog(checkpoint, held), lines, checkpoint)
            case "events":
                if held is not None and held.size != checkpoint.size:
                    raise Refused(
                        f"a selection of events cannot be held against a checkpoint of {held.size} events: it "
                        f"stands on one of {checkpoint.size}; `yett audit consistency` proves that it goes on from it"
                    )
                report = _feed(Selected(checkpoint), lines, checkpoint)
            case "consistency":
                earlier = _earlier(header, key)
                report = _consistency(header, earlier, checkpoint, lines)
    if held is not None and header.kind != "log":
        _compare(report, held, checkpoint, earlier)
    _tell(call, header, checkpoint, earlier, report, held)


def _begin(lines: Iterator[tuple[int, bytes]], key: VerifierKey) -> tuple[Header, Checkpoint]:
    _, line = next(lines, (1, b""))
    try:
        header = read_header(line)
        return header, key.opened(header.checkpoint)
    except (Malformed, MalformedCheckpoint, NotSigned) as error:
        raise Refused(f"line 1: {error}") from error


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each with its number, and cut behind the longest that a line may be: it is refused for that."""
    number = 0
    while line := file.readline(LONGEST_LINE + 2):
        number += 1
        yield number, line.removesuffix(b"\n")


def _feed(check: WholeLog | Selected, lines: Iterator[tuple[int, bytes]], checkpoint: Checkpoint) -> Report:
    number = 1
    try:
        for number, line in lines:
            check.feed(number, line)
            if number % _PROGRESS_EVERY == 0:
                click.echo(f"{check.report.events} of {checkpoint.size} events …", err=True)
    except Unreadable:
        return check.report
    return check.close(number)


def _earlier(header: Header, key: VerifierKey) -> Checkpoint:
    try:
        return key.opened(header.earlier or "")
    except (MalformedCheckpoint, NotSigned) as error:
        raise Refused(f"line 1: the earlier checkpoint: {error}") from error


def _consistency(
    header: Header, earlier: Checkpoint, checkpoint: Checkpoint, lines: Iterator[tuple[int, bytes]]
) -> Report:
    report = Report()
    if not consistent(earlier.size, earlier.root, checkpoint.size, checkpoint.root, header.proof):
        told = f"the {checkpoint.size} events do not continue the {earlier.size} of the earlier checkpoint"
        report.find(Finding(told, 1))
    for number, _ in lines:
        report.find(Finding("there is a line behind the proof", number))
        break
    return report


def _compare(report: Report, held: Checkpoint, *of_file: Checkpoint | None) -> None:
    if held not in of_file:
        report.find(Finding("the checkpoint that you hold is another one than the file's: a fork, or another time"))


def _tell(
    call: Invocation,
    header: Header,
    checkpoint: Checkpoint,
    earlier: Checkpoint | None,
    report: Report,
    held: Checkpoint | None,
) -> None:
    facts = {
        "whole": report.whole,
        "kind": header.kind,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        **({} if earlier is None else {"earlier": earlier.size, "earlier_root": b64encode(earlier.root).decode()}),
        "events": report.events,
        "erased": report.erased,
        "held": None if held is None else held.size,
        "findings": [
            {"line": found.line, "position": found.position, "event": found.event_id, "problem": found.problem}
            for found in report.findings
        ],
    }
    if report.whole:
        call.output.say(_good_news(header, checkpoint, earlier, report, held), **facts)
        return
    call.output.say("\n".join(["NOT as it was signed:", *map(_line, report.findings)]), **facts)
    raise SaidNo


def _good_news(
    header: Header, checkpoint: Checkpoint, earlier: Checkpoint | None, report: Report, held: Checkpoint | None
) -> str:
    erased = f", {report.erased} of them erased" if report.erased else ""
    match header.kind:
        case "log":
            said = f"whole: {report.events} events of {checkpoint.origin}{erased}, all of them as they were signed"
        case "events":
            said = (
                f"proved: {report.events} events of {checkpoint.origin}{erased}, out of {checkpoint.size}; whether "
                "others were left out is not proved"
            )
        case "consistency":
            before = "" if earlier is None else f" of {earlier.size} events (root {b64encode(earlier.root).decode()})"
            said = (
                f"proved: the log {checkpoint.origin} with {checkpoint.size} events continues the earlier one{before}"
            )
    if held is None:
        return f"{said}. To find a log that was signed anew, hold a checkpoint and name it with --checkpoint."
    return f"{said}, and unaltered since the checkpoint of {held.size} events that you hold"


def _line(found: Finding) -> str:
    where = [f"line {found.line}"] if found.line is not None else []
    where += [f"event {found.position}"] if found.position is not None else []
    named = "" if found.event_id is None else f" (id {found.event_id!a})"
    return f"  {', '.join(where)}: {found.problem}{named}" if where else f"  {found.problem}{named}"


def _key(path: Path) -> VerifierKey:
    try:
        return VerifierKey.parse(_text(path))
    except MalformedKey as error:
        raise Refused(f"{path}: {error}") from error


def _held(key: VerifierKey, path: Path) -> Checkpoint:
    try:
        return key.opened(_text(path))
    except (MalformedCheckpoint, NotSigned) as error:
        raise Refused(f"{path}: {error}") from error


def _text(path: Path) -> str:
    with path.open("rb") as file:
        try:
            return file.read(LARGEST_NOTE + 1).decode()
        except UnicodeDecodeError:
            raise Refused(f"{path} is not UTF-8") from None

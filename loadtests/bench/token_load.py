"""Puts wrk on a token endpoint, and finds out whether it did what its answers say."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cpu_use import Snapshot
from token_peer import FORMS, REFRESH_TOKEN, Peer
from wrk import Load, Measured, run

_TIMEOUT = "10s"  # a stall of the disk is a latency and no failure
_SCRIPT = Path(__file__).with_name("token_load.lua")
_RESULT = re.compile(r"^token-result answers=(\d+) wrong=(\d+) repeated=(\d+)$", re.MULTILINE)
_COMPLAINT = re.compile(r"^first wrong answer: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answers:
    """What wrk's script saw: answers 200 with the tokens that are due, others, refresh tokens that were given twice."""

    right: int
    wrong: int
    repeated: int
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class TokenRun:
    """One run against one peer. ``committed`` are the events that were added meanwhile, of which ``backlog`` had still
    to be brought into the log at its end; ``foreign`` is the share of the peer's CPU that others had.
    """

    measured: Measured
    answers: Answers
    connections: int
    committed: int | None
    backlog: int
    foreign: float

    def complaints(self) -> list[str]:
        """Why the figure is none. A request that was under way when the time was over has an event and no answer."""
        found = []
        if failed := self.measured.failed + self.answers.wrong:
            found.append(f"{failed} requests failed; the first was answered {self.answers.complaint or 'nothing'}")
        if self.answers.right + self.answers.wrong != self.measured.requests:
            found.append(f"{self.answers.right} answers were looked at, of {self.measured.requests}")
        if self.answers.repeated:
            found.append(f"{self.answers.repeated} refresh tokens were given twice")
        if self.committed is not None and not 0 <= self.committed - self.answers.right <= self.connections:
            found.append(f"{self.committed} events were committed for {self.answers.right} tokens")
        return found


def parse(output: str) -> Answers:
    """Read the line of ``token_load.lua``. Raises ``ValueError`` where there is none."""
    found = _RESULT.findall(output)
    if len(found) != 1:
        raise ValueError(f"wrk's script reported nothing that can be read:\n{output}")
    complaint = _COMPLAINT.search(output)
    right, wrong, repeated = map(int, found[0])
    return Answers(right, wrong, repeated, complaint[1] if complaint else "")


def put_on(peer: Peer, grant: str, load: Load, *, cpu: int) -> TokenRun:
    """``cpu`` is the peer's. Raises ValueError where wrk fails, TimeoutError where the backlog does not end."""
    with tempfile.NamedTemporaryFile("w", prefix="yett-bench-", suffix=".tokens", encoding="ascii") as file:
        arguments = [FORMS[grant]]
        if grant == REFRESH_TOKEN:
            # Two for each connection: one is under way, one waits. wrk asks its script for one request that it drops.
            file.write("\n".join(peer.mint(2 * load.connections)) + "\n")
            file.flush()
            arguments.append(file.name)
        if peer.ledger is not None:
            peer.ledger.settle()
        fields = [part for name, value in peer.fields().items() for part in ("-H", f"{name}: {value}")]
        ours = {cpu: [peer.running.process.pid]}
        counted = 0 if peer.ledger is None else peer.ledger.committed(grant)
        before = Snapshot.take(ours)
        options = ["-s", str(_SCRIPT), "--timeout", _TIMEOUT, *fields]
        measured, output = run(peer.running, peer.path, load, options=options, arguments=arguments)
        foreign = Snapshot.take(ours).foreign_since(before)[cpu]
    backlog, committed = 0, None
    if peer.ledger is not None:
        backlog = peer.ledger.backlog()
        committed = peer.ledger.committed(grant) - counted
        peer.ledger.settle()
    return TokenRun(measured, parse(output), load.connections, committed, backlog, foreign)

"""The supervisor by itself, with workers that do nothing: who is started when, and what it ends with."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.e2e.eventually import eventually

_PROGRAM = """
import errno, os, signal, subprocess, sys, time
from datetime import timedelta
from gateway.cli.supervisor import Supervisor
{before}

def say(*words):
    os.write(1, " ".join(map(str, words)).encode() + b"\\n")  # whole, beside what others say

def work(worker, line):
    say("worker", worker.number, os.getpid())
{work}

reads = []
say("ends", Supervisor(
    2, work, drain=timedelta(seconds=1), on_ready=lambda: say("ready"), on_stop=lambda: say("stopping"),
    reads_anew=lambda by_signal: by_signal, terminal_gone=lambda: False, patience=timedelta(seconds={patience}),
).run())
"""
_SERVES = """
    told = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, told)  # one that comes before it is waited for is not lost
    heard = []
    line.ready()
    while signal.SIGTERM not in heard:
        heard.append(signal.sigwait(told))
        say("heard", worker.number, *map(int, heard))
    return 0
"""


class Program:
    """Its lines are what it and its workers say. ``before`` comes first; ``patience`` is seconds."""

    def __init__(self, folder: Path, work: str, *, before: str = "", patience: int = 600) -> None:
        self.out = folder / "out"
        with self.out.open("wb") as out:
            program = _PROGRAM.format(work=work, before=before, patience=patience)
            self.process = subprocess.Popen([sys.executable, "-c", program], stdout=out, stderr=subprocess.STDOUT)

    @property
    def lines(self) -> list[str]:
        return self.out.read_text(encoding="utf-8").splitlines()

    def until(self, line: str, times: int = 1) -> None:
        eventually(lambda: self.lines.count(line) >= times, within=60, what=f"{line} in {self.lines}")

    def pids(self, number: int) -> list[int]:
        return [int(line.split()[2]) for line in self.lines if line.startswith(f"worker {number} ")]

    def killed(self) -> None:
        """With its workers, and whatever those have started."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=60)

    def ended(self) -> int:
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
        return int(self.lines[-1].removeprefix("ends "))


def test_what_it_is_told_it_passes_on_and_who_dies_is_started_anew(tmp_path: Path) -> None:
    program = Program(tmp_path, _SERVES)
    try:
        program.until("ready")
        assert program.lines[0].startswith("worker 0 ")
        program.process.send_signal(signal.SIGHUP)
        for number in range(2):
            program.until(f"heard {number} {int(signal.SIGHUP)}")
        program.process.send_signal(signal.SIGUSR1)
        for number in range(2):
            program.until(f"heard {number} {int(signal.SIGHUP)} {int(signal.SIGUSR1)}")
        (pid,) = program.pids(1)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(program.pids(1)) == 2, within=60, what="another one")
        program.process.send_signal(signal.SIGTERM)
        program.until("stopping")
    finally:
        code = program.ended()
    assert code == 0
    assert len(program.pids(0)) == 1
    assert program.lines.count("ready") == 1


def test_a_worker_that_dies_before_the_service_is_up_ends_it_with_its_code(tmp_path: Path) -> None:
    program = Program(tmp_path, "    return 4")
    assert program.ended() == 4
    assert program.pids(1) == []
    assert "yett: worker 0 has ended before the service was up (exit code 4), so it does not start." in program.lines


def test_one_that_comes_second_takes_the_first_along(tmp_path: Path) -> None:
    program = Program(tmp_path, "    if worker.number == 1:\n        os.kill(os.getpid(), signal.SIGKILL)" + _SERVES)
    assert program.ended() == 1
    assert "ready" not in program.lines
    assert f"heard 0 {int(signal.SIGTERM)}" in program.lines


def test_an_end_that_failed_in_a_worker_is_a_failure(tmp_path: Path) -> None:
    program = Program(tmp_path, _SERVES.replace("return 0", "return worker.number"))
    try:
        program.until("ready")
        program.process.send_signal(signal.SIGTERM)
    finally:
        code = program.ended()
    assert code == 70


_BEATS = """
    line.ready()
    while True:
        line.beat()
        time.sleep(0.05)
"""


def test_a_worker_that_stands_still_is_told_of_killed_and_replaced(tmp_path: Path) -> None:
    program = Program(tmp_path, _BEATS, patience=2)
    try:
        program.until("ready")
        (pid,) = program.pids(1)
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: len(program.pids(1)) == 2, within=60, what="another one")
        told = [line for line in program.lines if f"pid={pid}" in line]
        assert [next(word for word in line.split() if word.startswith("worker_")) for line in told] == [
            "worker_silent",
            "worker_hangs",
            "worker_died",
        ]
        assert "ended_by='signal 9'" in told[-1]
    finally:
        program.killed()


_NO_ROOM = """
real, asked = os.fork, []
def fork():
    asked.append(None)
    if len(asked) == 2:
        raise OSError(errno.EAGAIN, "no more processes")
    return real()
os.fork = fork
"""


def test_a_worker_that_cannot_be_started_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    program = Program(tmp_path, _SERVES, before=_NO_ROOM)
    try:
        program.until("ready")
        assert [len(program.pids(number)) for number in range(2)] == [1, 1]
        (told,) = [line for line in program.lines if "worker_not_started" in line]
        assert "again_in=0.5" in told
        program.process.send_signal(signal.SIGQUIT)  # which is for "now"
    finally:
        code = program.ended()
    assert code == 0
    assert "stopping" in program.lines


def test_what_a_killed_worker_leaves_behind_is_buried(tmp_path: Path) -> None:
    leaves = """
    if worker.number == 1:
        say("helper", 1, subprocess.Popen(["sleep", "60"]).pid)
"""
    program = Program(tmp_path, leaves + _SERVES)
    try:
        program.until("ready")
        (line,) = [line for line in program.lines if line.startswith("helper ")]
        helper = psutil.Process(int(line.split()[2]))
        os.kill(program.pids(1)[0], signal.SIGKILL)
        eventually(lambda: helper.ppid() == program.process.pid, within=60, what="it is adopted")
        helper.kill()
        eventually(lambda: not psutil.pid_exists(helper.pid), within=60, what="it is buried")
    finally:
        program.killed()

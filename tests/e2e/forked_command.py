"""Runs ``yett`` commands in processes of their own without importing it anew for each: a process that has imported it
forks one per command. Importing takes ten times as long as most commands do, and as long as a server takes to start.

Standard input: one JSON object a line, ``args``, ``env``, ``cwd``, ``umask``, ``stdin``, ``out``, ``err`` and ``told``
(the last four are paths of files). Into ``told``, a pipe, goes the process's number, and once it has ended, its exit
code.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from gateway.cli.main import main


def _become(command: dict[str, Any]) -> NoReturn:
    """In the new process: nothing of the parent's input, output and environment is left, then the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(command["env"])
    if command["cwd"]:
        os.chdir(command["cwd"])
    if command["umask"] is not None:
        os.umask(command["umask"])
    streams = [(command["stdin"], os.O_RDONLY), (command["out"], os.O_WRONLY), (command["err"], os.O_WRONLY)]
    for descriptor, (path, flags) in enumerate(streams):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole life of the process
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - the process's own
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - the process's own
    sys.argv = [str(Path(sys.executable).with_name("yett")), *command["args"]]
    code: Any = 70
    try:
        main(args=command["args"], prog_name="yett")
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


def _mind(command: dict[str, Any]) -> NoReturn:
    """In a process between: only a parent hears how another one ended, and ours has the next command to see to."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        _become(command)
    with open(command["told"], "w", buffering=1, encoding="ascii") as told:
        told.write(f"{child}\n")
        _, status = os.waitpid(child, 0)
        told.write(f"{os.waitstatus_to_exitcode(status)}\n")
    os._exit(0)


def serve() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is pytest's, which closes our input then
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those between
    gc.freeze()
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                _mind(json.loads(line))
            finally:  # whatever went wrong in it, the next line is not for this process
                os._exit(70)


if __name__ == "__main__":
    serve()

"""Runs ``yett`` commands in processes of their own without importing it anew for each: a process that has imported it
forks one per command. Importing takes ten times as long as most commands do.

Standard input: one JSON object a line, ``args``, ``env``, ``cwd``, ``stdin``, ``out`` and ``err`` (the last three are
paths of files). Standard output: the exit code, a line a command.
"""

import json
import os
import signal
import sys
from typing import Any, NoReturn

from gateway.cli.main import main


def _become(command: dict[str, Any]) -> NoReturn:
    """In the new process: nothing of the parent's input, output and environment is left, then the command."""
    os.environ.clear()
    os.environ.update(command["env"])
    if command["cwd"]:
        os.chdir(command["cwd"])
    streams = [(command["stdin"], os.O_RDONLY), (command["out"], os.O_WRONLY), (command["err"], os.O_WRONLY)]
    for descriptor, (path, flags) in enumerate(streams):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole life of the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    code: Any = 70
    try:
        main(args=command["args"], prog_name="yett")
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


def serve() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is pytest's, which closes our input then
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    serve()

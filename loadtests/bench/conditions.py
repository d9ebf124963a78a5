"""What a figure was measured on, as rows of name and value: without it, it is not a figure."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

TOOLS = {
    "haproxy": ["haproxy", "-v"],
    "nginx": ["nginx", "-v"],
    "wrk": ["wrk", "-v"],
    "h2load": ["h2load", "--version"],
    "node": ["node", "--version"],
}
_VERSION = re.compile(r"\d+\.\d+[.\w+~-]*")


def conditions(
    tools: Sequence[str] = ("haproxy", "nginx", "wrk"), packages: Sequence[str] = ("uvicorn", "uvloop", "httptools")
) -> dict[str, str]:
    """Machine and versions; of ``TOOLS`` and packages those that had a part in it."""
    versions = [f"{name} {_version_of(TOOLS[name])}" for name in tools]
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} CPUs, of which two are used",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()} ({platform.python_compiler()})",
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        **({"tools": ", ".join(versions)} if versions else {}),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version_of(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # wrk -v exits with 1
    found = _VERSION.search(said.stdout + said.stderr)
    return found[0] if found else "unknown"

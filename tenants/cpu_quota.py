"""How many cores this process may use: the smaller of its CPU affinity and its cgroup v2 quota (cpu.max)."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def cores(*, cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """At least 1. A quota that is no whole number counts down: a helper on half a core would only slow the others."""
    found = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    return max(1, math.floor(min(found, _quota(cgroups, own_cgroup))))


def _quota(cgroups: Path, own_cgroup: Path) -> float:
    """The tightest quota on the way from this process's group up to the root, in cores."""
    group = cgroups / _relative(own_cgroup)
    quota = math.inf
    while True:
        quota = min(quota, _read(group / "cpu.max"))
        if group in (cgroups, group.parent):
            return quota
        group = group.parent


def _relative(own_cgroup: Path) -> str:
    """The path in the line ``0::/path`` of /proc/self/cgroup; the root where there is none (no cgroup v2, no Linux)."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return ""
    paths = [line[3:] for line in lines if line.startswith("0::/")]
    return paths[0].lstrip("/") if paths and ".." not in paths[0] else ""


def _read(cpu_max: Path) -> float:
    """``max 100000`` or ``150000 100000``: microseconds of CPU per period. No file or other content is no quota."""
    try:
        allowed, period = cpu_max.read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf

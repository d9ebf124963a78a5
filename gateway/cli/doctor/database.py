"""Checks of the database: is it there, of this version, and bound to keep tenants apart."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.cli.doctor.check import Check, Examined
from tenants import migrate, soundness
from tenants.database import UnsafeRole

_CLOCKS: Final = timedelta(seconds=2)
_LEAST_SPACE: Final = 512 * 1024 * 1024
_OVER_A_NETWORK: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs")
_MOUNTS: Final = Path("/proc/self/mounts")


async def schema(examined: Examined) -> Sequence[str]:
    """Of the version that runs here."""
    try:
        await migrate.check(examined.opened)
    except migrate.SchemaMismatch as error:
        return (str(error),)
    return ()


async def roles(examined: Examined) -> Sequence[str]:
    """Row-level security binds the role of tenants, and not the system's."""
    try:
        await examined.opened.check_roles()
    except UnsafeRole as error:
        return (str(error),)
    return ()


async def row_security(examined: Examined) -> Sequence[str]:
    """Every tenant's table forces it."""
    bare = await soundness.tables_without_row_security(examined.opened)
    if not bare:
        return ()
    names = ", ".join(bare)
    return (f"Row-level security is not forced on {names}: ALTER TABLE … ENABLE, then FORCE ROW LEVEL SECURITY.",)


async def clock(examined: Examined) -> Sequence[str]:
    """Lifetimes are reckoned on both machines."""
    theirs = await soundness.its_clock(examined.opened)
    apart = timedelta() if theirs is None else abs(datetime.now(UTC) - theirs)
    if apart <= _CLOCKS:
        return ()
    return (f"The database's clock is {apart.total_seconds():.0f} s away from this machine's: let NTP set both.",)


async def connections(examined: Examined) -> Sequence[str]:
    """Another pod finds room."""
    free = await soundness.free_connections(examined.opened)
    if free is None or free >= soundness.ONE_POD:
        return ()
    return (f"The server takes {free} more connections, a pod wants {soundness.ONE_POD}: raise max_connections.",)


async def disk(examined: Examined) -> Sequence[str]:
    """SQLite wants a local disk with space."""
    settings = examined.settings
    if settings.on_postgresql:
        return ()
    return _space(settings.database_url.get_secret_value())


def _space(url: str) -> Sequence[str]:
    folder = Path(url.partition("///")[2].partition("?")[0]).resolve().parent
    findings = []
    kind = _file_system(folder, _MOUNTS.read_text(encoding="utf-8") if _MOUNTS.exists() else "")
    if kind in _OVER_A_NETWORK:
        findings.append(f"{folder} is on {kind}: SQLite's locks need a local disk; move data_dir, or use PostgreSQL.")
    free = shutil.disk_usage(folder).free
    if free < _LEAST_SPACE:
        findings.append(f"{folder} has {free // 1024**2} MiB left: make room before writes fail.")
    return findings


def _file_system(folder: Path, mounts: str) -> str:
    """Of which kind the file system is that this folder is on."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


CHECKS = (
    Check("database", "schema", "its schema's version", "database", schema),
    Check("database", "roles", "attributes of yett_app and yett_system", "database", roles),
    Check("database", "row_security", "tenants' tables", "database", row_security),
    Check("database", "clock", "its clock beside this machine's", "database", clock),
    Check("database", "connections", "max_connections", "database", connections),
    Check("database", "disk", "SQLite's file system", "database", disk),
)

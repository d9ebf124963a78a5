"""A check, what it is told, and how it is carried out within its time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from gateway.settings import Settings
from tenants.database import DATABASE_ERRORS, Database
from tenants.sealing import MasterKeys
from tenants.soundness import NOT_AS_MADE

Needs = Literal["settings", "database", "network"]
State = Literal["ok", "mend", "skipped"]

SECONDS: Final = 5.0
"""As long may one check take."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What checks look at. ``database`` is None where it cannot be asked, ``master_keys`` where they cannot be read."""

    settings: Settings
    config: Path | None
    environ: Mapping[str, str]
    now: datetime
    database: Database | None = None
    master_keys: MasterKeys | None = None

    @property
    def opened(self) -> Database:
        """The database. For checks that need it, which are skipped without."""
        if self.database is None:
            raise AssertionError("a check that needs the database ran without one")
        return self.database


Look = Callable[[Examined], Awaitable[Sequence[str]]]
"""Its answer: a sentence for each thing to mend, which says what to do and holds no secret."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. ``needs`` is what is asked for an answer: files, the database, or somebody elsewhere."""

    group: str
    name: str
    looks_at: str
    needs: Needs
    look: Look


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a check."""

    check: Check
    state: State
    findings: Sequence[str] = ()


async def carry_out(check: Check, examined: Examined, *, offline: bool) -> Found:
    """Its findings. What cannot be asked is left out; what takes too long or breaks is itself to be mended."""
    if offline and check.needs == "network":
        return Found(check, "skipped", ("left out: it connects elsewhere",))
    if check.needs == "database" and examined.database is None:
        return Found(check, "skipped", ("left out: the database cannot be asked",))
    try:
        async with asyncio.timeout(SECONDS):
            findings = await check.look(examined)
    except TimeoutError:
        findings = (f"No answer within {SECONDS:g} seconds: look for what is slow there, then ask again.",)
    except NOT_AS_MADE:
        findings = ("It may not be looked at: see what is said of schema and roles, else give the roles their rights.",)
    except (*DATABASE_ERRORS, OSError) as error:
        findings = (f"It cannot be looked at ({type(error).__name__}): see to its access, then ask again.",)
    return Found(check, "mend" if findings else "ok", tuple(findings))

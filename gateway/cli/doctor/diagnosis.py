"""``yett doctor``: the table of all checks, carried out side by side and told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import click

from gateway import telemetry
from gateway.cli.doctor import configuration, contents, database, machine, reaching
from gateway.cli.doctor.check import Check, Examined, Found, carry_out
from gateway.cli.errors import SaidNo
from gateway.cli.options import Invocation, command
from gateway.installation import utc_now
from gateway.settings import ConfigError, Settings
from tenants import soundness
from tenants.database import DATABASE_ERRORS, Database
from tenants.migrate import is_there
from tenants.sealing import MasterKeyProblem, MasterKeys

CHECKS: tuple[Check, ...] = (
    *configuration.CHECKS,
    *database.CHECKS,
    *contents.CHECKS,
    *reaching.CHECKS,
    *machine.CHECKS,
)
_PATIENCE = 5.0


async def _none(_: Examined) -> Sequence[str]:
    return ()


# What has to be there before the others can look: their findings come of opening it.
_READABLE = Check("configuration", "problems", "file and environment", "settings", _none)
_MASTER_KEYS = Check("configuration", "master_key_file", "the ring in it", "settings", _none)
_REACHABLE = Check("database", "reachable", "its connections", "settings", _none)


@command(None)
@click.option("--offline", is_flag=True, help="Leave out what connects elsewhere: names, mail, upstreams, the gateway.")
async def doctor(call: Invocation, offline: bool) -> None:
    """Examine the installation and say what is to be mended, and how.

    Nothing is changed and no secret is shown. Each check that asks the database or somebody elsewhere has 5 seconds,
    and they run side by side. The database is asked even with --offline. Exit code 0: all is well; 1: something is to
    be mended.
    """
    found = await _examination(call, offline=offline)
    mend = [one for one in found if one.state == "mend"]
    call.output.table([row for one in found for row in _rows(one, apart=not call.output.as_json)], _COLUMNS)
    if not call.output.as_json:
        checked = sum(one.state != "skipped" for one in found)
        click.echo(f"\n{checked} checks, {len(mend)} to mend" if mend else f"\n{checked} checks, all well")
    if mend:
        raise SaidNo


_COLUMNS = ("group", "check", "state", "what_to_do")


def _rows(found: Found, *, apart: bool) -> Sequence[dict[str, object]]:
    """One line for each finding, for people; for scripts one object for each check."""
    row: dict[str, object] = {"group": found.check.group, "check": found.check.name, "state": found.state}
    if apart:
        return [row | {"what_to_do": finding} for finding in found.findings or (None,)]
    return [row | {"looks_at": found.check.looks_at, "what_to_do": list(found.findings)}]


async def _examination(call: Invocation, *, offline: bool) -> Sequence[Found]:
    try:
        settings = call.settings()
    except ConfigError as error:
        return [Found(_READABLE, "mend", tuple(f"{problem}: correct it." for problem in error.problems))]
    telemetry.configure(settings.log.model_copy(update={"level": "error"}))
    found = [Found(_READABLE, "ok")]
    examined = Examined(settings, call.config_file(), call.environ, utc_now())
    try:
        examined = replace(examined, master_keys=MasterKeys.load(settings.master_key_file))
        found.append(Found(_MASTER_KEYS, "ok"))
    except MasterKeyProblem as error:
        found.append(Found(_MASTER_KEYS, "mend", (str(error),)))
    async with _opened(settings) as (reached, state):
        found.append(state)
        examined = replace(examined, database=reached)
        found += await asyncio.gather(*(carry_out(check, examined, offline=offline) for check in CHECKS))
    return found


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database | None, Found]]:
    """The database, if it answers."""
    url, system = settings.database_url.get_secret_value(), settings.database_system_url
    if not settings.on_postgresql and not is_there(url):
        yield None, Found(_REACHABLE, "mend", ("There is no database yet: run `yett migrate`.",))
        return
    opened = Database.open(url, None if system is None else system.get_secret_value(), pool_size=2)
    try:
        try:
            async with asyncio.timeout(_PATIENCE):
                await soundness.answers(opened)
        except (*DATABASE_ERRORS, TimeoutError) as error:
            told = f"The database does not answer ({type(error).__name__}): see that it is up, and that URLs are right."
            yield None, Found(_REACHABLE, "mend", (told,))
        else:
            yield opened, Found(_REACHABLE, "ok")
    finally:
        await opened.close()

"""What all commands share: which installation they act on, and for whom they print."""

import asyncio
import functools
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway import settings as configuration
from gateway import telemetry
from gateway.cli.errors import Refused, reported
from gateway.cli.output import Output
from gateway.installation import Installation, open_installation
from gateway.settings import Settings
from tenants.acts.by import By
from tenants.store import TenantStore
from tenants.tenant import Tenant

CONFIG_NAME = "yett.yaml"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the command line. ``environ`` has ``--data`` and ``--config`` folded in."""

    config: Path | None
    environ: dict[str, str]
    output: Output

    def settings(self) -> Settings:
        """The configuration that this call acts under.

        Raises:
            ConfigError: with all of its problems.
        """
        return configuration.load(self.config_file(), self.environ)

    def config_file(self) -> Path | None:
        """``--config``, else ``yett.yaml`` in the data folder where there is one."""
        if self.config is not None:
            return self.config
        found = Path(self.environ.get("YETT_DATA", ".yett")) / CONFIG_NAME
        return found if found.exists() else None

    @asynccontextmanager
    async def installation(self) -> AsyncIterator[Installation]:
        """The opened installation."""
        settings = self.settings()
        telemetry.configure(settings.log.model_copy(update={"level": "warning"}))  # results are what is wanted here
        async with open_installation(settings) as installation:
            yield installation

    @asynccontextmanager
    async def tenant(self, slug: str, *, read_only: bool = False) -> AsyncIterator[tuple[Tenant, TenantStore]]:
        """One transaction for the tenant of this slug.

        Raises:
            Refused: there is none.
        """
        async with self.installation() as installation:
            tenant = await installation.directory.find(slug)
            if tenant is None:
                raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
            async with installation.store.for_tenant(tenant.id, read_only=read_only) as store:
                yield tenant, store


def actor() -> str:
    """Who administers from the command line, for the audit log."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"  # not getpass: whoever runs this chooses LOGNAME
    except KeyError:  # a container's user id without a name
        return f"cli:uid={os.getuid()}"


def by() -> By:
    """The same, for ``tenants.acts``."""
    return By(actor())


def command(
    group: click.Group | None,
    name: str | None = None,
    *,
    configured: bool = True,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Callable[[Callable[..., Awaitable[None] | None]], click.Command]:
    """Make an ``async`` function a command, of ``group`` where one is given. One that has done its work without an
    event loop answers None.

    The function gets an ``Invocation`` first, then its own options by name. One that is not ``configured`` takes no
    ``--config``.
    """

    def register(function: Callable[..., Awaitable[None] | None]) -> click.Command:
        @functools.wraps(function)
        def run(*, data: Path | None, as_json: bool, config: Path | None = None, **kwargs: Any) -> None:
            environ = dict(os.environ)
            if data is not None:
                environ["YETT_DATA"] = str(data)
            with reported(as_json):
                work = function(Invocation(config, environ, Output(as_json)), **kwargs)
                if work is not None:
                    with asyncio.Runner(loop_factory=loop_factory) as runner:
                        runner.run(_awaited(work))

        wrapped: Any = run
        for option in (_JSON, _DATA, *((_CONFIG,) if configured else ())):
            wrapped = option(wrapped)
        made: click.Command = click.command(name)(wrapped)
        if group is not None:
            group.add_command(made)
        return made

    return register


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


_CONFIG = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="YETT_CONFIG",
    help="The YAML file. Default: yett.yaml in the data folder, where there is one.",
)
_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="YETT_DATA",
    help="The folder of an embedded installation (SQLite, master key). Default: .yett",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of text for people.")

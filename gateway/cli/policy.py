"""``yett policy``: what the configuration decides, before it decides."""

import click

from gateway.cli.options import Invocation, command
from gateway.settings import compile_routes


@click.group()
def policy() -> None:
    """Check routes and their rules."""


@command(policy)
async def check(call: Invocation) -> None:
    """Read the configuration as the server would, and report every problem of it, each with file, line and field."""
    settings = call.settings()
    compile_routes(settings)
    call.output.say(
        f"{len(settings.routes)} routes to {len(settings.upstreams)} upstreams, no problem; digest {settings.digest}",
        routes=len(settings.routes),
        upstreams=len(settings.upstreams),
        digest=settings.digest,
    )

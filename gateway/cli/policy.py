"""``yett policy``: what the configuration decides, before it decides."""

import click

from gateway.cli.options import Invocation, command
from gateway.settings import compile_routes
from gateway.settings.route_options import written


@click.group()
def policy() -> None:
    """Check routes and their rules."""


@command(policy)
async def check(call: Invocation) -> None:
    """Read the configuration as the server would, and report every problem of it, each with file, line and field.

    Where there is none, it prints what single routes strip, rewrite, limit and let pages do.
    """
    settings = call.settings()
    compile_routes(settings)
    options = {route.name: said for route in settings.routes if (said := written(route, settings))}
    lines = [
        f"{len(settings.routes)} routes to {len(settings.upstreams)} upstreams, no problem; digest {settings.digest}",
        *(
            f"{name}: {'; '.join(f'{option} {value}' for option, value in said.items())}"
            for name, said in options.items()
        ),
    ]
    call.output.say(
        "\n".join(lines),
        routes=len(settings.routes),
        upstreams=len(settings.upstreams),
        digest=settings.digest,
        options=options,
    )

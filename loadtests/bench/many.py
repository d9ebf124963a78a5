"""Ten thousand tenants and ten thousand routes: an installation in which no two requests need be alike."""

import asyncio
import time
from pathlib import Path

from gateway import urls
from gateway.installation import open_installation
from gateway.settings import load

TENANTS = 10_000
ROUTES = 10_000


def slug(number: int) -> str:
    """Of the tenant of this number."""
    return f"tenant-{number}"


def path(number: int) -> str:
    """That the route of this number answers."""
    return f"/api-{number % 100}/things-{number}/7"


def routes(count: int) -> str:
    """YAML behind the routes that are there anyhow."""
    return "".join(
        f"  - {{name: things-{number}, match: {{path: /api-{number % 100}/things-{number}/**, methods: [GET]}}, "
        f'require: {{scopes: ["orders:read"]}}, upstream: orders}}\n'
        for number in range(count)
    )


def add_tenants(data: Path, count: int) -> float:
    """Make them, and say how many seconds that took."""
    began = time.monotonic()
    asyncio.run(_add_tenants(data, count))
    return time.monotonic() - began


async def _add_tenants(data: Path, count: int) -> None:
    settings = load(data / "yett.yaml", {})
    async with open_installation(settings) as installation:
        for number in range(count):
            name = slug(number)
            issuer = urls.issuer(settings.public_url, name)
            await installation.directory.create(slug=name, name=name, issuer=issuer, actor="bench")

"""What tests of back-channel logout share: the job, clients that are told, sessions that end."""

import ssl
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from gateway.oauth.backchannel import BackChannel
from gateway.outbound import Outbound
from gateway.settings.addresses import Network
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tests.gateway.world import ORDERS, Fixture, World
from tests.tenants.conftest import dump

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the system's authorities takes a while
LOOPBACK = (ip_network("127.0.0.0/8"),)


def channel(world: World, *, allowed: tuple[Network, ...] = LOOPBACK) -> BackChannel:
    """The job, as it would run beside the world; patient enough for a busy machine."""
    outbound = Outbound(allowed, timeout=timedelta(seconds=20), tls=TRUSTS_NOBODY)
    return BackChannel(world.installation.database, world.installation.store, outbound, world.clock)


async def add(
    world: World, client_id: str, uri: str, fixture: Fixture | None = None, *, registration_digest: bytes | None = None
) -> None:
    """A client that is told at ``uri``."""
    async with world.store(fixture) as store:
        await store.clients.create(
            Client(
                client_id=client_id,
                name=client_id,
                confidential=False,
                grant_types=frozenset({"password", "refresh_token"}),
                scopes=frozenset({"orders:read"}),
                default_scopes=frozenset({"orders:read"}),
                audiences=(ORDERS,),
                options=ClientOptions(backchannel_logout_uri=uri),
                registration_digest=registration_digest,
            )
        )


async def log_in(world: World, client_id: str, fixture: Fixture | None = None) -> dict[str, Any]:
    """Alice's access token by this client, and the claims in it."""
    fixture = fixture or world.acme
    answer = await world.post(fixture.form(client_id=client_id), to=fixture.slug)
    assert answer.status_code == 200, answer.text
    return world.claims(answer.json()["access_token"], fixture)


async def log_out(world: World, claims: dict[str, Any], fixture: Fixture | None = None) -> None:
    async with world.store(fixture) as store:
        assert await store.sessions.end(UUID(claims["sid"]))


async def waiting(world: World) -> int:
    return len((await dump(world.installation.database.system))["logout_notices"])


async def told(world: World, fixture: Fixture | None = None) -> list[dict[str, Any]]:
    return [event for event in await world.events(fixture) if event["type"].startswith("logout")]

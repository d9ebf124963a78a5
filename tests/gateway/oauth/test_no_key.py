"""A tenant without a key to sign with: it answers that this does not work now, and keeps nothing of what was asked."""

from sqlalchemy import update
from structlog.testing import capture_logs

from policies.key_rotation import KeyState
from tenants.tables import signing_keys
from tests.gateway.oauth.presenting import as_web, introspect
from tests.gateway.oauth.test_signed_introspection import SIGNED
from tests.gateway.world import World


async def become(world: World, before: KeyState, after: KeyState) -> None:
    """All keys of one state are in the other one, in every process."""
    async with world.installation.database.app_step(read_only=False) as connection:
        of_state = signing_keys.c.state == before
        await connection.execute(update(signing_keys).where(of_state).values(state=after))
    await world.snapshot.load()


async def test_without_a_key_nothing_is_issued_or_used_up_and_the_log_has_it_once(world: World) -> None:
    token = (await world.login())["refresh_token"]
    await become(world, KeyState.ACTIVE, KeyState.RETIRED)
    with capture_logs() as lines:
        answers = [
            await world.refresh(token),
            await world.post({"grant_type": "client_credentials"}, headers=as_web(world.acme)),
            await introspect(world, "x", headers=SIGNED),
        ]
    await become(world, KeyState.RETIRED, KeyState.ACTIVE)

    assert [answer.status_code for answer in answers] == [503] * 3
    assert {answer.json()["error"] for answer in answers} == {"temporarily_unavailable"}
    assert [(line["event"], line["tenant"]) for line in lines if line["log_level"] == "error"] == [
        ("no_active_key", "acme")
    ]
    assert (await world.refresh(token)).status_code == 200
    refused = [event for event in await world.events() if event["type"] == "token.refused" and event["status"] == 503]
    assert {event["reason"] for event in refused} == {"no_active_key"}

"""The way from a request to its tokens on SQLite and on PostgreSQL, past a login and a consent."""

from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import VERIFIER, address, answered, openid, redeem
from tests.gateway.world import World

HARD = "\N{KEY} & = % + \" ' ; --"


async def test_login_consent_code_refresh_and_withdrawal(each_world: World) -> None:
    world = each_world
    await openid(world)
    async with Browser(world) as browser:
        await browser.get(address(state=HARD, nonce=HARD, claims='{"id_token":{"email":null,"\N{KEY}":null}}'))
        await browser.submit(username="alice", password=world.acme.password)
        assert "Allow Public?" in browser.page.text
        answer = answered(await browser.submit(decision="allow"))
        assert (answer["state"], answer["iss"]) == (HARD, world.acme.issuer)
        tokens = (await redeem(world, answer["code"])).json()
        assert world.claims(tokens["id_token"])["nonce"] == HARD
        assert (await redeem(world, answer["code"], code_verifier=VERIFIER)).json()["error"] == "invalid_grant"
        assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        again = (await redeem(world, answered(await browser.get(address()))["code"])).json()
        assert (await world.refresh(again["refresh_token"])).status_code == 200
    assert [(event["type"], event.get("reason")) for event in await world.events()] == [
        ("login.succeeded", None),
        ("consent.granted", None),
        ("authorization.granted", None),
        ("token.issued", None),
        ("token.refused", "code_replayed"),
        ("token.refused", "family_revoked"),
        ("authorization.granted", None),
        ("token.issued", None),
        ("token.refreshed", None),
    ]

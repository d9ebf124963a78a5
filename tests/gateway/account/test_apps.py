"""``/account/apps``: what an application has ends with what somebody let it have, and nothing else does."""

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from tests.gateway.account.house import token_of
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import address, answered, change_options, first_party, openid, redeem
from tests.gateway.world import World

WEB = {"client_id": "web", "redirect_uri": "https://web.acme.test/callback"}


def reason(world: World, token: str) -> str | None:
    bearer = Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())
    answer = bearer.authenticate(token.encode())
    return answer.reason if isinstance(answer, InvalidToken) else None


async def test_a_withdrawal_ends_the_access_tokens_of_that_application_and_of_nobody_else(each_world: World) -> None:
    world = each_world
    await openid(world)
    await first_party(world)
    await change_options(world, "spa", first_party=False)
    async with Browser(world) as browser:
        await browser.log_in()
        code = answered(await browser.get(address(**WEB)))["code"]
        webs = (await redeem(world, code, **WEB, client_secret=world.acme.secret)).json()["access_token"]
        bobs = (await world.login(username="bob"))["access_token"]
        await browser.get(address())
        code = answered(await browser.submit(decision="allow"))["code"]
        spas = (await redeem(world, code)).json()["access_token"]
        assert [reason(world, token) for token in (spas, webs, bobs)] == [None] * 3

        await browser.get("/account/apps")
        await browser.post("/account/apps", {**token_of(browser), "client": "spa"})
        await world.snapshot.poll()
        assert [reason(world, token) for token in (spas, webs, bobs)] == ["token_revoked", None, None]

        world.clock.advance(seconds=1)
        await browser.get(address())
        code = answered(await browser.submit(decision="allow"))["code"]
        assert reason(world, (await redeem(world, code)).json()["access_token"]) is None

"""The authorization endpoint is for browsers that go there, not for pages that call it (RFC 9700 section 2.6)."""

from tests.gateway.oauth.authorizing import address, first_party, openid
from tests.gateway.world import World

ORIGIN = "https://app.acme.test"
"""One of the public client's, which may call the token endpoint."""


async def test_no_page_may_read_what_the_authorization_endpoint_answers(world: World) -> None:
    await openid(world)
    await first_party(world)
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    async with world.client() as client:
        answers = [
            await client.get(f"/t/acme{address()}", headers={"Origin": ORIGIN}),
            await client.get(f"/t/acme{address(client_id='nobody')}", headers={"Origin": ORIGIN}),
            await client.options("/t/acme/authorize", headers=preflight),
        ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")], answer

"""A client that was deleted, and that this process knows until it has heard of it: unknown, and no fault of ours."""

from tenants.client import DEVICE_CODE
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import address, asking, first_party
from tests.gateway.oauth.devices import Device
from tests.gateway.world import World


async def delete(world: World, client_id: str = "spa") -> None:
    """In another process: what is heard of it comes later. This one knows the client well."""
    assert (await world.post(world.acme.form(scope="admin"))).json()["error"] == "invalid_scope"
    async with world.installation.store.for_tenant(world.acme.id) as store:
        await store.clients.delete(client_id)


async def test_a_deleted_client_logs_nobody_in(each_world: World) -> None:
    world = each_world
    await delete(world)
    answer = await world.post(world.acme.form())
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
    async with world.store() as store:
        assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_a_deleted_client_starts_no_device_and_pushes_no_request(each_world: World) -> None:
    world = each_world
    await delete(world)
    started = await Device(world).start()
    assert (started.status_code, started.json()["error"]) == (400, "invalid_client")
    async with world.client() as client:
        pushed = await client.post("/t/acme/par", data=asking(scope="orders:read"))
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_client")


async def test_a_deleted_client_s_request_ends_on_a_page(each_world: World) -> None:
    world = each_world
    await first_party(world)
    async with Browser(world) as stranger, Browser(world) as browser:
        await browser.log_in()
        await delete(world)
        for each in (stranger, browser):
            page = await each.get(address(scope="orders:read"))
            assert (page.status_code, "location" in page.headers) == (400, False)
            assert "was deleted" in page.text
    reasons = [event["reason"] for event in await world.events() if event["type"] == "page.refused"]
    assert reasons[:1] == ["client_deleted"]


async def test_what_a_deleted_client_had_is_gone(world: World) -> None:
    login = await world.login()
    device = Device(world)
    await device.start()
    await delete(world)
    assert (await world.refresh(login["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await device.poll(grant_type=DEVICE_CODE)).json()["error"] == "invalid_grant"

"""Nobody's change is lost unseen: a PATCH names the state that it was made of, and of many at once one is done."""

import asyncio
from typing import Any

from tests.gateway.admin.house import Caller, House

THINGS: list[tuple[str, dict[str, Any]]] = [
    ("", {"name": "Acme Inc."}),
    ("/users/{alice}", {"email": "alice@example.com"}),
    ("/roles/reader", {"scopes": ["orders:read", "orders:list"]}),
    ("/clients/spa", {"name": "Another"}),
]


def path_of(house: House, below: str) -> str:
    return f"/v1/tenants/acme{below.format(alice=house.world.acme.users['alice'])}"


async def test_a_patch_wants_the_state_that_was_read(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for below, patch in THINGS:
            await check(caller, path_of(house, below), patch)


async def check(caller: Caller, path: str, patch: dict[str, Any]) -> None:
    missing = await caller.patch(path, patch, tag="")
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    tag = (await caller.get(path)).headers["etag"]
    for stale in ('"stale"', f"W/{tag}", tag[1:-1], '"', "", "*, *"):
        if stale:
            refused = await caller.patch(path, patch, tag=stale)
            assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed"), stale
    done = await caller.patch(path, patch, tag=f'"other", {tag}')
    assert done.status_code == 200
    assert done.headers["etag"] != tag
    assert (await caller.get(path)).headers["etag"] == done.headers["etag"]
    assert (await caller.patch(path, patch, tag=tag)).status_code == 412
    assert (await caller.patch(path, patch, tag="*")).status_code == 200


async def test_a_delete_may_name_a_state(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for below in ("/roles/reader", "/clients/spa", "/users/{alice}"):
            path = path_of(house, below)
            tag = (await caller.get(path)).headers["etag"]
            assert (await caller.delete(path, headers={"If-Match": '"stale"'})).status_code == 412
            assert (await caller.delete(path, headers={"If-Match": tag})).status_code == 204
            assert (await caller.get(path)).json()["code"] == "resource_not_found"


async def test_of_twenty_at_once_one_wins(each_house: House) -> None:
    async with each_house.client(await each_house.operator()) as caller:
        for below, patch in THINGS:
            path = path_of(each_house, below)
            tag = (await caller.get(path)).headers["etag"]
            answers = await asyncio.gather(*(caller.patch(path, patch, tag=tag) for _ in range(20)))
            assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19, below


async def test_a_patch_that_changes_nothing_tells_nothing(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for below, _ in THINGS:
            path = path_of(house, below)
            before = (await caller.get(path)).headers["etag"]
            assert (await caller.patch(path, {})).headers["etag"] == before
    assert [each for each in await house.world.events() if each.get("actor", "").startswith("platform/")] == []

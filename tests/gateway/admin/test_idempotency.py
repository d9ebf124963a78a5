"""``Idempotency-Key``: done once, answered as often as it is asked, whatever happens at the same time."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from tests.gateway.admin.house import Caller, House
from tests.gateway.world import ORDERS

CLIENT: dict[str, Any] = {
    "client_id": "machine",
    "name": "Machine",
    "auth_method": "client_secret_basic",
    "audiences": [ORDERS],
}
CLIENTS = "/v1/tenants/acme/clients"


async def create(caller: Caller, key: str, body: dict[str, Any] = CLIENT, path: str = CLIENTS) -> httpx.Response:
    return await caller.post(path, body, headers={"Idempotency-Key": key})


async def made(house: House, type_: str = "client.created") -> int:
    return sum(each["type"] == type_ and "/" in each.get("actor", "") for each in await house.world.events())


async def test_the_same_request_has_the_same_answer_with_its_secret(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        first, second = await create(caller, "k1"), await create(caller, "k1")
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert first.json()["secret"].startswith("ycs_")
    assert first.headers["location"] == second.headers["location"] == "/v1/tenants/acme/clients/machine"
    assert first.headers["etag"] == second.headers["etag"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await made(each_house) == 1


async def test_without_a_key_the_second_one_is_a_conflict(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        assert (await caller.post(CLIENTS, CLIENT)).status_code == 201
        answer = await caller.post(CLIENTS, CLIENT)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize(
    ("path", "body"),
    [(CLIENTS, {**CLIENT, "name": "Other"}), ("/v1/tenants/acme/roles", {"name": "new", "scopes": ["a"]})],
)
async def test_a_key_is_of_one_request(house: House, path: str, body: dict[str, Any]) -> None:
    async with house.client(await house.administrator()) as caller:
        await create(caller, "k1")
        answer = await create(caller, "k1", body, path)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_is_of_one_principal(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        await create(caller, "k1")
    async with house.client(await house.operator()) as caller:
        assert (await create(caller, "k1")).json()["code"] == "already_exists"
    async with house.client(await house.administrator(house.globex)) as caller:
        assert (await create(caller, "k1", path="/v1/tenants/globex/clients")).status_code == 201


async def test_what_was_refused_may_be_tried_again(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        assert (await create(caller, "k1", {**CLIENT, "audiences": ["no uri"]})).status_code == 422
        assert (await create(caller, "k1")).status_code == 201


async def test_after_a_day_a_key_is_new(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        await create(caller, "k1")
    house.world.clock.advance(days=1)
    await house.world.snapshot.poll()
    async with house.client(await house.administrator()) as caller:
        assert (await create(caller, "k1")).json()["code"] == "already_exists"


@pytest.mark.parametrize("key", ["", " ", "a b", "ü".encode().decode("latin-1"), "k" * 256])
async def test_what_is_no_key_is_refused(house: House, key: str) -> None:
    async with house.client(await house.administrator()) as caller:
        answer = await caller.client.post(CLIENTS, json=CLIENT, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
        twice = await caller.client.post(CLIENTS, json=CLIENT, headers=[("Idempotency-Key", "a")] * 2)
        assert twice.json()["code"] == "idempotency_key_invalid"


async def test_of_many_at_once_one_is_done(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        answers = await asyncio.gather(*(create(caller, "k1") for _ in range(20)))
        late = await create(caller, "k1")
    codes = {(answer.status_code, answer.json().get("code")) for answer in answers}
    assert codes <= {(201, None), (409, "idempotency_key_in_use")}
    secrets = {answer.json()["secret"] for answer in (*answers, late) if answer.status_code == 201}
    assert len(secrets) == 1
    assert await made(each_house) == 1


async def test_of_many_processes_one_is_done(each_house: House) -> None:
    """Two compositions share the database and nothing else."""
    token = await each_house.administrator()
    another = each_house.world.composed_anew()
    async with each_house.client(token) as here, each_house.client(token, app=another.management) as there:
        answers = await asyncio.gather(*(create(caller, "k1") for _ in range(8) for caller in (here, there)))
        late = await create(there, "k1")
    codes = {(answer.status_code, answer.json().get("code")) for answer in answers}
    assert codes <= {(201, None), (409, "idempotency_key_in_use")}
    assert len({answer.json()["secret"] for answer in (*answers, late) if answer.status_code == 201}) == 1
    assert await made(each_house) == 1


async def test_a_tenant_is_made_once(each_house: House) -> None:
    async with each_house.client(await each_house.operator()) as caller:
        body = {"slug": "initech", "name": "Initech"}
        answers = await asyncio.gather(*(create(caller, "k1", body, "/v1/tenants") for _ in range(5)))
        again = await create(caller, "k1", body, "/v1/tenants")
        assert again.status_code == 201
        other = await create(caller, "k1", {"slug": "umbrella"}, "/v1/tenants")
        assert other.json()["code"] == "idempotency_key_reused"
        read = await caller.get("/v1/tenants/initech")  # at once, by who made it
    assert {answer.json()["id"] for answer in (*answers, again) if answer.status_code == 201} == {read.json()["id"]}


async def test_an_action_is_done_once_too(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        keys = "/v1/tenants/acme/signing-keys/rotate"
        first, second = await create(caller, "k", {"now": True}, keys), await create(caller, "k", {"now": True}, keys)
    assert first.json() == second.json()
    assert await made(house, "key.rotated") == 1


async def test_what_was_not_done_behind_the_transaction_is_not_told_as_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order to delete is taken back in a step of its own: broken off before that, the next one does it."""

    async def away(*_: object, **__: object) -> None:
        raise OperationalError("the database is away", None, Exception())

    resume = "/v1/tenants/acme/resume"
    async with house.client(await house.operator()) as caller:
        tag = (await caller.get("/v1/tenants/acme")).headers["etag"]
        assert (await caller.delete("/v1/tenants/acme", headers={"If-Match": tag})).status_code == 200
        with monkeypatch.context() as patched:
            patched.setattr("tenants.deletion.take_back", away)
            assert (await create(caller, "k1", {}, resume)).status_code == 503
        assert (await caller.get("/v1/tenants/acme")).json()["delete_at"] is not None
        answer = await create(caller, "k1", {}, resume)
        assert (answer.status_code, answer.json()["delete_at"]) == (200, None)
        assert "idempotent-replayed" not in answer.headers
        assert (await caller.get("/v1/tenants/acme")).json()["delete_at"] is None
        assert (await create(caller, "k1", {}, resume)).headers["idempotent-replayed"] == "true"

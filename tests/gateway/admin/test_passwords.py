"""Passwords that an administrator chooses: judged, never told, good for nobody's take-over, and changed where asked."""

import json
from typing import Any

import pytest

from tenants.hashing_queue import HashingUnavailable
from tests.gateway.admin.house import Caller, House
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.world import World

ACME = "/v1/tenants/acme"
FIRST, OWN = "a few words, and a horse", "other words, and a donkey"


def form(world: World, name: str, password: str) -> dict[str, Any]:
    return world.acme.form(username=name, password=password)


async def logs_in(world: World, name: str, password: str) -> int:
    return (await world.post(form(world, name, password))).status_code


async def put(caller: Caller, user_id: object, password: str = FIRST, **more: Any) -> Any:
    return await caller.call("PUT", f"{ACME}/users/{user_id}/password", {"password": password, **more})


async def test_a_user_is_made_with_a_password_that_nobody_is_told(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        answer = await caller.post(f"{ACME}/users", {"name": "newcomer", "password": FIRST, "roles": ["reader"]})
    assert answer.status_code == 201
    assert "password" not in answer.json()
    assert await logs_in(each_house.world, "newcomer", FIRST) == 200
    told = json.dumps(await each_house.world.events())
    assert FIRST not in told
    assert "horse" not in told


async def test_a_password_that_is_set_replaces_the_one_before_and_ends_sessions(each_house: House) -> None:
    world, alice = each_house.world, each_house.world.acme.users["alice"]
    tokens = await world.login(scope="orders:read offline_access")
    async with each_house.client(await each_house.administrator()) as caller:
        answer = await put(caller, alice)
    assert (answer.status_code, answer.json()) == (200, {"sessions_ended": 1})
    assert (await world.refresh(tokens["refresh_token"])).status_code == 400
    assert await logs_in(world, "alice", world.acme.password) == 400
    assert await logs_in(world, "alice", FIRST) == 200
    (told,) = [each for each in await world.events() if each["type"] == "user.password_set"]
    assert (told["subject"], told["details"]) == (str(alice), {"way": "administrator", "sessions_ended": 1})


async def test_sessions_stay_where_that_is_asked_for(house: House) -> None:
    world, alice = house.world, house.world.acme.users["alice"]
    tokens = await world.login(scope="orders:read offline_access")
    async with house.client(await house.administrator()) as caller:
        assert (await put(caller, alice, end_sessions=False)).json() == {"sessions_ended": 0}
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("fourteen chars", "too short"),
        ("x" * 1025, "too long"),
        ("é" * 600, "too long"),
        ("administrator", "too short"),
    ],
)
async def test_a_password_that_may_not_be_set_is_refused_with_the_rule(house: House, password: str, says: str) -> None:
    async with house.client(await house.administrator()) as caller:
        bob = house.world.acme.users["bob"]
        for answer in (
            await caller.post(f"{ACME}/users", {"name": "newcomer", "password": password}),
            await put(caller, bob, password),
        ):
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
            assert says in answer.json()["errors"][0]["detail"]
            assert password not in answer.text
        assert (await caller.get(f"{ACME}/users", params={"name": "newcomer"})).json()["items"] == []
    assert await logs_in(house.world, "bob", house.world.acme.password) == 200


async def test_with_a_required_second_factor_a_shorter_password_will_do(house: House) -> None:
    await change_people(house.world, otp_roles=["reader"])
    async with house.client(await house.administrator()) as caller:
        body = {"name": "newcomer", "password": "gX4!kQz!"}
        assert (await caller.post(f"{ACME}/users", body)).status_code == 422
        assert (await caller.post(f"{ACME}/users", {**body, "roles": ["reader"]})).status_code == 201
        await caller.post(f"{ACME}/groups", {"name": "readers", "roles": ["reader"]})
        by_group = {**body, "name": "other", "groups": ["readers"]}
        assert (await caller.post(f"{ACME}/users", by_group)).status_code == 201


async def test_who_may_not_is_refused_before_anything_is_hashed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hashes(_: str) -> str:
        raise AssertionError("hashed")

    hashing = house.world.parts[0]
    monkeypatch.setattr(hashing, "hash", hashes)
    platform = house.operators
    async with house.client(await house.operator("admin")) as caller:
        path = f"/v1/tenants/platform/users/{platform['owner']}/password"
        assert (await caller.call("PUT", path, {"password": FIRST})).status_code == 403
    async with house.client(await house.operator("support")) as caller:
        assert (await put(caller, house.world.acme.users["bob"])).status_code == 403
        assert (await caller.post(f"{ACME}/users", {"name": "x", "password": FIRST})).status_code == 403
    async with house.client(await house.administrator()) as caller:
        assert (await put(caller, house.administrators["globex"])).status_code == 404
        assert (await caller.post(f"{ACME}/users", {"name": "alice", "password": FIRST})).status_code == 409


async def test_a_full_queue_is_told_and_changes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(_: str) -> str:
        raise HashingUnavailable("full", retry_after=2)

    monkeypatch.setattr(house.world.parts[0], "hash", refuses)
    async with house.client(await house.administrator()) as caller:
        answer = await put(caller, house.world.acme.users["bob"])
    assert (answer.status_code, answer.json()["code"]) == (503, "passwords_busy")
    assert answer.headers["retry-after"] == "2"


async def test_the_same_request_is_done_once_and_another_password_is_another_request(each_house: House) -> None:
    body, key = {"name": "newcomer", "password": FIRST}, {"Idempotency-Key": "k1"}
    async with each_house.client(await each_house.administrator()) as caller:
        first = await caller.post(f"{ACME}/users", body, headers=key)
        second = await caller.post(f"{ACME}/users", body, headers=key)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert second.headers["idempotent-replayed"] == "true"
        other = await caller.post(f"{ACME}/users", {**body, "password": OWN}, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_password_for_one_login_is_changed_at_it(each_house: House) -> None:
    world = each_house.world
    async with each_house.client(await each_house.administrator()) as caller:
        body = {"name": "newcomer", "password": FIRST, "must_change": True, "roles": ["reader"]}
        assert (await caller.post(f"{ACME}/users", body)).status_code == 201
    refused = await world.post(form(world, "newcomer", FIRST))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    async with Browser(world) as browser:
        await browser.get("/login")
        await browser.submit(username="newcomer", password=FIRST)
        assert browser.at.startswith("/reset?token=")
        await browser.submit(password=FIRST)
        assert (browser.page.status_code, browser.error()) == (
            422,
            "That is the password that was chosen for you. Choose another one.",
        )
        await browser.submit(password=OWN)
        assert browser.at == "/login"
        await browser.submit(username="newcomer", password=OWN)
        assert browser.at == "/account"
    assert await logs_in(world, "newcomer", OWN) == 200
    assert await logs_in(world, "newcomer", FIRST) == 400


async def test_a_second_factor_is_asked_before_a_password_is_changed(house: House) -> None:
    world, alice = house.world, house.world.acme.users["alice"]
    secret = await enrol(world)
    async with house.client(await house.administrator()) as caller:
        assert (await put(caller, alice, must_change=True)).status_code == 200
    async with Browser(world) as browser:
        await browser.get("/login")
        await browser.submit(username="alice", password=FIRST)
        assert browser.at == "/login/otp"
        await browser.submit(otp=code(world, secret))
        assert browser.at.startswith("/reset?token=")


async def test_what_has_to_be_changed_is_a_password(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        answer = await caller.post(f"{ACME}/users", {"name": "newcomer", "must_change": True})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/must_change")

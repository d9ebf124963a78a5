"""An API key is for APIs: no endpoint of an issuer takes one, looks into one, takes one back or exchanges one."""

from datetime import timedelta

import pytest

from tests.gateway.oauth.presenting import as_web, exchange, introspect, revoke
from tests.gateway.world import ORDERS, World


@pytest.fixture
async def key(world: World) -> str:
    async with world.store() as store:
        _, text = await store.api_keys.create(
            "Scanner", scopes=["openid", "orders:read"], audiences=[ORDERS], lifetime=timedelta(days=1)
        )
    return text


async def test_userinfo_takes_none(world: World, key: str) -> None:
    async with world.client() as client:
        answer = await client.get("/t/acme/userinfo", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"


async def test_introspection_does_not_know_it(world: World, key: str) -> None:
    assert (await introspect(world, key)).content == b'{"active":false}'


async def test_revocation_takes_none_back(world: World, key: str) -> None:
    assert (await revoke(world, key)).status_code == 200
    async with world.store() as store:
        [found] = await store.api_keys.list()
    assert found.revoked_at is None


async def test_it_is_exchanged_for_nothing(world: World, key: str) -> None:
    answer = await exchange(world, key, by=as_web(world.acme))
    assert answer.status_code == 400
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "refresh_token", "client_id": "spa", "refresh_token": "KEY"},
        {"grant_type": "client_credentials", "client_id": "web", "client_secret": "KEY"},
        {"grant_type": "authorization_code", "client_id": "spa", "code": "KEY", "code_verifier": "v" * 43},
        {"grant_type": "password", "client_id": "spa", "username": "alice", "password": "KEY"},
    ],
)
async def test_it_stands_for_no_other_secret(world: World, key: str, form: dict[str, str]) -> None:
    answer = await world.post({name: value.replace("KEY", key) for name, value in form.items()})
    assert answer.status_code in (400, 401)
    assert "access_token" not in answer.json()


async def test_its_text_is_in_no_event(world: World, key: str) -> None:
    await introspect(world, key)
    await revoke(world, key)
    await exchange(world, key)
    told = await world.events()
    assert told
    assert key not in repr(told)

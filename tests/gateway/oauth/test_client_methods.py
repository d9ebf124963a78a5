"""A client proves itself in exactly the way that it registered, at every endpoint that asks who it is."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest

from tenants.client_options import AuthMethod
from tests.gateway.oauth.presenting import basic
from tests.gateway.oauth.signing_client import ask, proof, push, register, request, signing_client
from tests.gateway.world import World

METHODS: tuple[AuthMethod, ...] = get_args(AuthMethod)

Presented = tuple[dict[str, str], dict[str, str]]
WAYS: Mapping[str, Callable[[World, str], Presented]] = {
    "none": lambda _, __: ({"client_id": "signer"}, {}),
    "client_secret_basic": lambda _, secret: ({}, basic("signer", secret)),
    "client_secret_post": lambda _, secret: ({"client_id": "signer", "client_secret": secret}, {}),
    "private_key_jwt": lambda world, _: (proof(world), {}),
}
GOOD = {(method, method) for method in WAYS} | {
    ("client_secret", "client_secret_basic"),
    ("client_secret", "client_secret_post"),
}


async def registered(world: World, method: AuthMethod) -> str:
    """The client, and a secret that is the right one wherever secrets count."""
    public = method == "none"
    grants = signing_client().grant_types - ({"client_credentials"} if public else set())
    await register(world, signing_client(auth_method="client_secret"))
    async with world.store() as store:
        secret = await store.clients.add_secret("signer")
        await store.clients.replace(signing_client(auth_method=method, confidential=not public, grant_types=grants))
    return secret


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS)
async def test_the_registered_way_and_no_other(world: World, method: AuthMethod, way: str) -> None:
    secret = await registered(world, method)
    answers = []
    for asked in (request(client_id=None), world.acme.form(client_id=None)):
        form, headers = WAYS[way](world, secret)
        if "response_type" in asked:
            answers.append(await push(world, {**asked, **form}, headers=headers))
        else:
            answers.append(await world.post({**asked, **form}, headers=headers))

    if (method, way) in GOOD:
        assert [answer.status_code for answer in answers] == [201, 200]
    else:
        assert [answer.json()["error"] for answer in answers] == ["invalid_client"] * 2
        assert {answer.status_code for answer in answers} == ({400} if way == "private_key_jwt" else {401})


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_several_secrets_are_good_while_they_are_rolled_until_they_end(world: World, method: Any) -> None:
    first = await registered(world, method)
    async with world.store() as store:
        second = await store.clients.add_secret("signer")
    for secret in (first, second):
        form, headers = WAYS[method](world, secret)
        assert (await ask(world, form, headers=headers)).status_code == 200
    async with world.store() as store:
        await store.clients.end_secrets("signer")
    for secret in (first, second):
        form, headers = WAYS[method](world, secret)
        assert (await ask(world, form, headers=headers)).json()["error"] == "invalid_client"


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
async def test_only_the_whole_secret_is_one_k01(world: World, way: str) -> None:
    secret = await registered(world, "client_secret")
    others = [secret[:-1], secret + "A", secret + "=", secret + " ", secret.upper(), secret.lower(), secret.swapcase()]
    others += ["yrt_" + secret[4:], "yac_" + secret[4:], secret[4:], "ycs_", secret + secret]
    refused = []
    for other in others:
        form, headers = WAYS[way](world, other)
        refused.append(await ask(world, form, headers=headers))
    assert {(answer.status_code, answer.json()["error"]) for answer in refused} == {(401, "invalid_client")}
    form, headers = WAYS[way](world, secret)
    assert (await ask(world, form, headers=headers)).status_code == 200


async def test_no_refusal_says_whether_there_is_such_a_client_t11(world: World) -> None:
    await registered(world, "client_secret")
    wrong = [
        await ask(world, {}, headers=basic("signer", "ycs_wrong")),
        await ask(world, {}, headers=basic("nobody", "ycs_wrong")),
        await ask(world, {"client_id": "signer", "client_secret": "ycs_wrong"}),
        await ask(world, {"client_id": "nobody", "client_secret": "ycs_wrong"}),
        await ask(world, {"client_id": "signer"}),
        await ask(world, {"client_id": "nobody"}),
        await ask(world, {}, headers=basic("web", world.acme.secret), to="globex"),
    ]
    seen = {(answer.status_code, answer.content, answer.headers["www-authenticate"]) for answer in wrong}
    assert len(seen) == 1

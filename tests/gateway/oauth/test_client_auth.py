"""Which client asks, and by which proof (RFC 6749 sections 2.3 and 3.2.1)."""

import base64
from collections.abc import Mapping

import httpx
import pytest

from tenants.clients import Client
from tests.gateway.world import ORDERS, World

CHALLENGE = 'Basic realm="token", charset="UTF-8"'


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def is_invalid_client(answer: httpx.Response) -> bool:
    return (
        answer.status_code == 401
        and answer.json()["error"] == "invalid_client"
        and answer.headers["www-authenticate"] == CHALLENGE
        and answer.headers["cache-control"] == "no-store"
    )


async def test_a_confidential_client_proves_itself_by_basic(world: World) -> None:
    answer = await world.post(world.acme.form(client_id=None), headers=basic("web", world.acme.secret))

    assert world.claims(answer.json()["access_token"])["client_id"] == "web"


async def test_a_confidential_client_proves_itself_in_the_form(world: World) -> None:
    answer = await world.post(world.acme.form(client_id="web", client_secret=world.acme.secret))

    assert world.claims(answer.json()["access_token"])["client_id"] == "web"


async def test_a_public_client_may_name_itself_by_basic(world: World) -> None:
    answer = await world.post(world.acme.form(client_id=None), headers=basic("spa", ""))

    assert world.claims(answer.json()["access_token"])["client_id"] == "spa"


async def test_the_scheme_is_compared_without_case_rfc9110_11_1(world: World) -> None:
    header = basic("web", world.acme.secret)["Authorization"].replace("Basic", "bASIC")

    assert (await world.post(world.acme.form(client_id=None), headers={"Authorization": header})).status_code == 200


async def test_id_and_secret_are_form_encoded_inside_of_basic_rfc6749_2_3_1(world: World) -> None:
    async with world.store() as store:
        await store.clients.create(
            Client("urn:app@1:x", "Special", True, frozenset({"client_credentials"}), frozenset({"a"}), (ORDERS,))
        )
        secret = await store.clients.add_secret("urn:app@1:x")
    encoded = "".join(f"%{ord(sign):02X}" for sign in secret)
    answer = await world.post({"grant_type": "client_credentials"}, headers=basic("urn%3Aapp%401%3Ax", encoded))

    assert answer.status_code == 200


async def test_basic_and_the_same_id_in_the_form_agree(world: World) -> None:
    answer = await world.post(world.acme.form(client_id="web"), headers=basic("web", world.acme.secret))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "more",
    [{"client_id": "spa"}, {"client_id": "web", "client_secret": "ycs_x"}, {"client_id": "", "client_secret": "ycs_x"}],
)
async def test_two_ways_at_once_are_invalid_request_rfc6749_2_3(world: World, more: Mapping[str, str]) -> None:
    answer = await world.post({**world.acme.form(), **more}, headers=basic("web", world.acme.secret))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("more", [{}, {"client_id": "spa"}, {"client_id": "web", "client_secret": "x"}])
async def test_a_secret_without_an_id_in_basic_is_no_client_to_be_passed_over(
    world: World, more: Mapping[str, str]
) -> None:
    form = {**world.acme.form(client_id=None), **more}

    assert is_invalid_client(await world.post(form, headers=basic("", "secret")))


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": "nobody"},
        {"client_id": "nobody", "client_secret": "ycs_x"},
        {"client_id": "web"},
        {"client_id": "web", "client_secret": "ycs_x"},
        {"client_id": "WEB", "client_secret": "ycs_x"},
        {"client_id": "spa", "client_secret": "ycs_x"},
        {"client_secret": "ycs_x", "client_id": None},
    ],
)
async def test_a_client_that_does_not_prove_itself_is_invalid_client(
    world: World, more: Mapping[str, str | None]
) -> None:
    assert is_invalid_client(await world.post(world.acme.form(**more)))


async def test_the_secret_of_another_tenants_client_of_the_same_name_is_nobodys_t11(world: World) -> None:
    globex = await world.post(
        {"grant_type": "client_credentials"}, to="globex", headers=basic("web", world.acme.secret)
    )
    unknown = await world.post({"grant_type": "client_credentials"}, to="globex", headers=basic("no", "ycs_x"))

    assert is_invalid_client(globex)
    assert globex.content == unknown.content
    (event, _) = await world.events(world.globex)
    assert event["reason"] == "client_secret_wrong"
    assert await world.events() == []


async def test_an_expired_secret_proves_nothing(world: World) -> None:
    async with world.store() as store:
        secret = await store.clients.add_secret("web", expires_at=world.clock())

    assert is_invalid_client(await world.post({"grant_type": "client_credentials"}, headers=basic("web", secret)))


async def test_of_two_secrets_both_are_good_while_they_are_rolled(world: World) -> None:
    async with world.store() as store:
        second = await store.clients.add_secret("web")

    for secret in (world.acme.secret, second):
        answer = await world.post({"grant_type": "client_credentials"}, headers=basic("web", secret))
        assert answer.status_code == 200


async def test_a_disabled_client_is_invalid_client_in_the_same_words(world: World) -> None:
    async with world.store() as store:
        await store.clients.set_active("web", False)
    right = await world.post({"grant_type": "client_credentials"}, headers=basic("web", world.acme.secret))
    wrong = await world.post({"grant_type": "client_credentials"}, headers=basic("web", "ycs_x"))

    assert is_invalid_client(right)
    assert right.content == wrong.content


async def test_two_authorization_headers_are_refused_rfc9110_5_3(world: World) -> None:
    headers = [("Authorization", "Basic Og=="), *basic("web", world.acme.secret).items()]
    answer = await world.post({"grant_type": "client_credentials"}, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "authorization",
    [
        b"Bearer abc",
        b"",
        b"Basic",
        b"Basic ",
        b"Basic d2Vi",
        b"Basic !!!!",
        b"Basic \xff\xfe",
        b"Basic Og==Og==",
        b"Basic " + base64.b64encode(b"\xff:\xff"),
        b"Basic " + base64.b64encode(b"web%00:x"),
        b"Basic " + base64.b64encode(b"%FF:x"),
        b"Digest username=web",
    ],
)
async def test_another_scheme_or_a_malformed_basic_is_invalid_client(world: World, authorization: bytes) -> None:
    answer = await world.post(world.acme.form(client_id=None), headers=[(b"Authorization", authorization)])

    assert is_invalid_client(answer)


async def test_a_client_may_ask_by_its_own_grants_only_rfc6749_5_2(world: World) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "yrt_x", "client_id": "login-only"}
    answer = await world.post(form)

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("grant_type", ["implicit", "PASSWORD", "password ", "urn:x", "\u00e9"])
async def test_a_grant_that_nobody_has_is_unsupported_grant_type(world: World, grant_type: str) -> None:
    answer = await world.post(world.acme.form(grant_type=grant_type))

    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_the_client_is_asked_before_the_user(world: World) -> None:
    answer = await world.post(world.acme.form(client_id="web", password="wrong"))

    assert is_invalid_client(answer)

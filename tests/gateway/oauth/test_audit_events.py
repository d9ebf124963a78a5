"""Every refusal is one event with a reason, every login one, and no secret is in any of them or in the log."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.gateway.world import World

SECRETS = ("hunter2-password", "yrt_hunter2refresh", "ycs_hunter2secret", "hunter2-bearer")


@pytest.mark.parametrize(
    ("changes", "event", "reason"),
    [
        ({"password": "wrong"}, "login.refused", "wrong_password"),
        ({"username": "nobody"}, "login.refused", "unknown_user"),
        ({"scope": "x"}, "login.refused", "invalid_scope"),
        ({"resource": "urn:x"}, "login.refused", "resource_not_allowed"),
        ({"grant_type": None}, "token.refused", "parameter_missing"),
        ({"grant_type": "x"}, "token.refused", "unsupported_grant_type"),
        ({"client_id": "nobody"}, "token.refused", "client_unknown"),
        ({"client_id": "web"}, "token.refused", "client_secret_missing"),
        ({"client_id": "web", "client_secret": "x"}, "token.refused", "client_secret_wrong"),
        ({"client_secret": "x"}, "token.refused", "client_is_public"),
        ({"password": "x" * 2000}, "token.refused", "password_too_long"),
        ({"password": "x" * 70000}, "token.refused", "body_too_large"),
        ({"grant_type": "refresh_token", "refresh_token": "yrt_x"}, "token.refused", "refresh_token_unknown"),
        ({"grant_type": "refresh_token", "client_id": "login-only"}, "token.refused", "grant_type_not_allowed"),
    ],
)
async def test_a_refusal_is_one_event_with_its_reason(
    world: World, changes: Mapping[str, str | None], event: str, reason: str
) -> None:
    answer = await world.post(world.acme.form(**changes))

    assert answer.status_code in (400, 401, 413)
    (told,) = await world.events()
    assert (told["type"], told["outcome"], told["reason"]) == (event, "refused", reason)
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["address"] == "203.0.113.7"
    assert await world.platform_events() == []
    assert await world.events(world.globex) == []


async def test_refusals_of_strangers_are_told_once_and_then_counted(world: World) -> None:
    for _ in range(50):
        await world.post(world.acme.form(client_id="nobody"))
    world.clock.advance(seconds=11)

    first, others = await world.events()
    assert (first["reason"], first["path"], "count" in first) == ("client_unknown", "/t/acme/token", False)
    assert (others["reason"], others["count"], "request_id" in others) == ("client_unknown", 49, False)


async def test_every_login_is_an_event(world: World) -> None:
    for _ in range(3):
        await world.login()

    assert [event["type"] for event in await world.events()] == ["login.succeeded"] * 3


async def _password(world: World) -> None:
    await world.post(world.acme.form(password=SECRETS[0]))
    await world.post(world.acme.form(username=SECRETS[0], password=SECRETS[0]))


async def _refresh(world: World) -> None:
    await world.refresh(SECRETS[1])


async def _secret(world: World) -> None:
    await world.post(world.acme.form(client_id="web", client_secret=SECRETS[2]))
    await world.post(world.acme.form(), headers={"Authorization": f"Bearer {SECRETS[3]}"})
    await world.post(world.acme.form(), params={"password": SECRETS[0]})


async def _names(world: World) -> None:
    await world.post({**world.acme.form(), SECRETS[0]: ["a", "b"]})
    await world.post(SECRETS[0])
    await world.post(json.dumps({"password": SECRETS[0]}), headers={"Content-Type": f"text/{SECRETS[0]}"})
    await world.post(world.acme.form(grant_type=SECRETS[0]))
    await world.post(world.acme.form(client_id=SECRETS[0]))
    await world.post(world.acme.form(scope=SECRETS[0]))
    await world.post(world.acme.form(resource=SECRETS[0]))


@pytest.mark.parametrize("act", [_password, _refresh, _secret, _names])
async def test_no_secret_that_was_sent_is_in_any_event_log_line_or_answer(
    world: World, caplog: pytest.LogCaptureFixture, act: Callable[[World], Awaitable[None]]
) -> None:
    with capture_logs() as lines:
        await act(world)
        told = [*await world.events(), *await world.platform_events()]

    assert told
    for secret in SECRETS:
        assert secret not in json.dumps(told)
        assert secret not in repr(lines)
        assert secret not in caplog.text


async def test_no_secret_that_was_issued_is_in_any_event_or_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        login = await world.login()
        refreshed = (await world.refresh(login["refresh_token"])).json()
        world.clock.advance(seconds=11)
        await world.refresh(login["refresh_token"])
        told: list[dict[str, Any]] = await world.events()

    assert len(told) == 3
    for tokens in (login, refreshed):
        for name in ("access_token", "refresh_token"):
            secret = str(tokens[name])
            assert secret not in json.dumps(told)
            assert secret.rsplit(".", 1)[-1] not in repr(lines) + caplog.text
    assert world.acme.password not in json.dumps(told) + repr(lines) + caplog.text

"""In shadow a stream ends for what is taken back, and not for what a new request would only be noted for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from policies.route import Route
from policies.rule import Scopes
from tests.gateway.proxy.harness import ALICE, World
from tests.gateway.proxy.sockets import SOCKETS, Socket, config, sockets, speaks
from tests.gateway.proxy.test_api_keys import KEY, TEXT
from tests.gateway.proxy.test_streams import EXPIRED, closed, goes_on, listens

SHADOW = replace(SOCKETS[0], rule=Scopes(frozenset({"never"})), shadow=True)


@asynccontextmanager
async def in_shadow(token: str | None = "alice", route: Route = SHADOW) -> AsyncIterator[tuple[World, Socket]]:
    """One that a route in shadow let through, and noted."""
    async with sockets(speaks(listens)) as made:
        made.principals[TEXT.encode()] = KEY
        made.plane.config = config(made, route)
        client = await Socket(made).open("/ws", token=token)
        made.plane.streams.sweep()
        assert len(made.plane.streams) == 1
        assert [seen.outcome.partition("_")[0] for seen in made.seen] == ["would"]
        made.seen.clear()
        yield made, client
        client.leave()


@pytest.mark.parametrize("token", ["alice", None, "forged", TEXT])
async def test_in_shadow_nothing_ends_for_what_would_only_be_noted(token: str | None) -> None:
    async with in_shadow(token) as (made, client):
        made.day += 10 * EXPIRED
        made.fresh = False
        made.plane.config = config(made, SHADOW)
        await goes_on(made, client)
        assert made.seen == []


async def test_in_shadow_a_token_for_another_api_is_noted_once_and_not_cut_off() -> None:
    async with sockets(speaks(listens)) as made:
        made.principals[b"alice"] = replace(ALICE, audiences=frozenset({"https://other.example.com"}))
        made.plane.config = config(made, SHADOW)
        client = await Socket(made).open()
        made.plane.config = config(made, SHADOW)
        await goes_on(made, client)
        assert [seen.reason for seen in made.seen] == ["audience_mismatch"]
        client.leave()


@pytest.mark.parametrize("token", ["alice", TEXT])
async def test_in_shadow_what_is_revoked_ends_and_the_audit_log_knows(token: str) -> None:
    async with in_shadow(token) as (made, client):
        made.standings.revoke(ALICE if token == "alice" else KEY)
        assert await closed(made, client) == (4401, "token_revoked")
        assert [(seen.outcome, seen.status) for seen in made.seen] == [("refused", 401)]


async def test_it_ends_when_shadow_becomes_earnest() -> None:
    async with in_shadow() as (made, client):
        made.plane.config = config(made, replace(SHADOW, shadow=False))
        assert await closed(made, client) == (1012, "")

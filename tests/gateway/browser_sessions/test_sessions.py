"""Which token a cookie stands for: asked for once for all, often enough, and kept while nobody can be asked."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from gateway.browser.own_client import OwnClient
from gateway.browser.sealed import Seals, SessionCookie
from gateway.browser.sessions import BrowserSessions, Unavailable
from gateway.errors import InvalidGrant, Overloaded
from gateway.oauth.access_token import TokenResponse
from gateway.proxy.request import ProxiedRequest
from tenants.sealing import MasterKey, MasterKeys
from tenants.snapshot import TenantFacts

TENANT = TenantFacts(UUID(int=1), "acme", "https://auth.example.com/t/acme", active=True)
HOST = "app.example.com"
REQUEST = cast("ProxiedRequest", None)  # the fake below looks at none


class Issuer:
    """In the place of ``OwnClient``. ``fails`` is what it raises, after ``goes_on`` where it is to take its time."""

    def __init__(self, *, lifetime: int, idle: timedelta) -> None:
        self.lifetime = lifetime
        self.idle = idle
        self.asked = 0
        self.fails: Exception | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def ask(
        self, _tenant: TenantFacts, _request: ProxiedRequest, _form: Mapping[str, str | Sequence[str]]
    ) -> TokenResponse:
        self.asked += 1
        number = self.asked
        await self.goes_on.wait()
        if self.fails is not None:
            raise self.fails
        return TokenResponse(access_token=f"token-{number}", expires_in=self.lifetime, scope="openid")

    async def session_idle(self, _tenant: TenantFacts) -> timedelta:
        return self.idle


class Sessions:
    """The memory, a clock, and one cookie."""

    def __init__(self, *, lifetime: int = 300, idle: timedelta = timedelta(hours=12)) -> None:
        self.time = 1_800_000_000.0
        self.issuer = Issuer(lifetime=lifetime, idle=idle)
        seals = Seals(MasterKeys([MasterKey("one", bytes(32))]))
        made = SessionCookie(str(UUID(int=2)), "site", ("openid",), ("https://a",), "", 1, 0)
        self.cookie = seals.session(made, tenant_id=TENANT.id, host=HOST)
        self.sessions = BrowserSessions(cast("OwnClient", self.issuer), seals, lambda: self.time)

    async def token(self) -> bytes | None:
        return await self.sessions.token(self.cookie, TENANT, HOST, REQUEST)

    def refused(self) -> None:
        self.sessions.refused(self.cookie, TENANT, HOST)


async def test_a_token_counts_until_shortly_before_its_end() -> None:
    of = Sessions()
    assert await of.token() == b"token-1"
    of.time += 269
    assert await of.token() == b"token-1"
    of.time += 2
    assert await of.token() == b"token-2"


async def test_a_session_is_seen_three_times_before_it_would_be_idle() -> None:
    of = Sessions(lifetime=3600, idle=timedelta(minutes=10))
    assert await of.token() == b"token-1"
    of.time += 199
    assert await of.token() == b"token-1"
    of.time += 2
    assert await of.token() == b"token-2"
    of.time += 3000
    of.issuer.fails = InvalidGrant(reason="session_ended")
    assert await of.token() is None


async def test_whoever_comes_at_once_waits_for_one_answer() -> None:
    of = Sessions()
    of.issuer.goes_on.clear()
    waiting = [asyncio.ensure_future(of.token()) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # whose request brought it about is gone
    await asyncio.sleep(0)
    of.issuer.goes_on.set()
    assert await asyncio.gather(*waiting[1:]) == [b"token-1"] * 19
    assert of.issuer.asked == 1


async def test_a_failure_is_everybodys_who_waited_for_it() -> None:
    of = Sessions()
    of.issuer.goes_on.clear()
    of.issuer.fails = Overloaded(reason="database_unavailable")
    waiting = [asyncio.ensure_future(of.token()) for _ in range(20)]
    await asyncio.sleep(0)
    of.issuer.goes_on.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in ended] == [Unavailable] * 20
    assert of.issuer.asked == 1
    of.issuer.fails = None
    assert await of.token() == b"token-2"


async def test_while_nobody_can_be_asked_the_token_at_hand_counts_to_its_end() -> None:
    of = Sessions()
    assert await of.token() == b"token-1"
    of.issuer.fails = Overloaded(reason="database_unavailable")
    of.time += 271
    for _ in range(10):
        assert await of.token() == b"token-1"
    assert of.issuer.asked == 2  # and not again for each request
    of.time += 6
    assert await of.token() == b"token-1"
    assert of.issuer.asked == 3
    of.time += 23
    with pytest.raises(Unavailable):
        await of.token()


async def test_a_token_that_is_refused_is_asked_for_again_but_not_all_the_time() -> None:
    of = Sessions()
    for _ in range(10):
        assert await of.token() == b"token-1"
        of.refused()
    of.time += 6
    assert await of.token() == b"token-2"
    of.time += 100
    of.refused()
    of.issuer.fails = Overloaded(reason="database_unavailable")
    with pytest.raises(Unavailable):  # the refused one is no way out
        await of.token()


async def test_an_ended_session_is_not_made_live_by_a_refusal() -> None:
    of = Sessions()
    of.issuer.fails = InvalidGrant(reason="session_ended")
    for _ in range(3):
        assert await of.token() is None
        of.refused()
    assert of.issuer.asked == 1


async def test_a_cookie_of_a_stranger_asks_nobody() -> None:
    of = Sessions()
    answers: list[Any] = [await of.sessions.token(b"A" * 200, TENANT, HOST, REQUEST) for _ in range(3)]
    assert answers == [None] * 3
    assert of.issuer.asked == 0

"""A refused login tells nothing but that it was refused, and costs the same whatever the reason (rule 4, L01)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
from sqlalchemy import event as engine_event

from tenants.hashing import HashingPool, Mismatch, Verified
from tenants.hashing_queue import QueueFull
from tests.gateway.conftest import OpenWorld
from tests.gateway.world import World

BCRYPT = "$2b$04$5hNUTlyEFUx92SmZaP4X8ucWFDJIUjVEJWbayenSfquTLkofN17lq"
"""Of ``x``."""


@dataclass
class SeamPool:
    """The real helpers, with somebody who watches, or acts while a password is being hashed."""

    pool: HashingPool
    meanwhile: Callable[[], Awaitable[object]] | None = None
    full: bool = False
    calls: list[str | None] = field(default_factory=list)
    outcomes: list[Verified | Mismatch] = field(default_factory=list)

    @property
    def pids(self) -> tuple[int, ...]:
        return self.pool.pids

    @property
    def has_room(self) -> bool:
        return self.pool.has_room

    async def verify(self, stored: str | None, password: str, *, renew: bool = True) -> Verified | Mismatch:
        self.calls.append(stored)
        if self.full:
            raise QueueFull("full", retry_after=7)
        outcome = await self.pool.verify(stored, password, renew=renew)
        self.outcomes.append(outcome)
        if self.meanwhile is not None:
            await self.meanwhile()
        return outcome


def told(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that a caller learns, without the id of the request."""
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "x-request-id")
    return answer.status_code, answer.content, headers


async def disable(world: World, user: str) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users[user], False)


async def test_all_reasons_have_one_answer_and_each_costs_one_hash(open_world: OpenWorld, hashing: HashingPool) -> None:
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:
        await disable(world, "bob")
        wrong = await world.post(world.acme.form(password="wrong"))
        others = [
            await world.post(world.acme.form(username="nobody", password="wrong")),
            await world.post(world.acme.form(username="nobody")),
            await world.post(world.acme.form(username="bob")),
            await world.post(world.acme.form(username="bob", password="wrong")),
            await world.post(world.acme.form(username="keyless")),
            await world.post(world.acme.form(password="")),
            await world.post(world.acme.form(username="")),
            await world.post(world.acme.form(username="nobody", password="")),
            await world.post(world.acme.form(username="a\u200bb")),
            await world.post(world.acme.form(username="x" * 1000)),
        ]

        assert told(wrong)[:2] == (
            400,
            b'{"error":"invalid_grant","error_description":"The user name or the password is wrong."}',
        )
        assert [told(other) for other in others] == [told(wrong)] * len(others)
        assert len(seam.calls) == 1 + len(others)
        reasons = [event["reason"] for event in await world.events()]
        assert reasons == [
            "wrong_password",
            "unknown_user",
            "unknown_user",
            "user_disabled",
            "wrong_password",
            "wrong_password",
            "wrong_password",
            "unknown_user",
            "unknown_user",
            "unknown_user",
            "unknown_user",
        ]


async def test_the_right_password_of_a_disabled_user_is_not_hashed_a_second_time(
    open_world: OpenWorld, hashing: HashingPool
) -> None:
    """The time for a new hash in place of an imported one would tell that the password was right."""
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:
        async with world.store() as store:
            for user in ("alice", "bob"):
                await store.credentials.set_password(world.acme.users[user], BCRYPT)
        await disable(world, "bob")
        refused = await world.post(world.acme.form(username="bob", password="x"))
        accepted = await world.post(world.acme.form(password="x"))

        assert (refused.status_code, accepted.status_code) == (400, 200)
        assert seam.outcomes[0] == Verified(rehash=None)
        assert isinstance(seam.outcomes[1], Verified)
        assert seam.outcomes[1].rehash is not None


async def test_the_database_is_asked_as_often_whoever_it_is(world: World) -> None:
    """Beside a hash of 17 ms a query is small, and over 200 tries it is seen."""
    asked: list[str] = []
    engine = world.installation.database.app.sync_engine
    engine_event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    await disable(world, "bob")
    await world.post(world.acme.form(username="first", password="wrong"))  # whoever it is: this one counts the schemes
    statements = []
    for username in ("alice", "nobody", "bob", "keyless"):
        asked.clear()
        await world.post(world.acme.form(username=username, password="wrong"))
        statements.append([statement for statement in asked if statement.startswith(("SELECT", "INSERT", "UPDATE"))])

    assert statements[0]
    assert statements == [statements[0]] * 4


async def test_a_refused_login_writes_no_session(world: World) -> None:
    await world.post(world.acme.form(password="wrong"))
    await world.post(world.acme.form(scope="unknown"))

    async with world.store() as store:
        assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_a_refused_login_is_one_event_without_the_name_that_was_tried(world: World) -> None:
    """An unknown name may be a password in the wrong field."""
    await world.post(world.acme.form(username="hunter2"))

    (event,) = await world.events()
    assert (event["type"], event["outcome"], event["reason"]) == ("login.refused", "refused", "unknown_user")
    assert "hunter2" not in str(event)


async def test_a_password_that_changes_while_it_is_hashed_is_refused(
    open_world: OpenWorld, hashing: HashingPool
) -> None:
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:

        async def change() -> None:
            async with world.store() as store:
                await store.credentials.set_password(world.acme.users["alice"], await hashing.hash("another one"))

        seam.meanwhile = change
        answer = await world.post(world.acme.form())

        assert answer.json()["error"] == "invalid_grant"
        (event,) = await world.events()
        assert event["reason"] == "password_changed_meanwhile"


async def test_a_user_who_is_disabled_while_the_password_is_hashed_is_refused(
    open_world: OpenWorld, hashing: HashingPool
) -> None:
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:
        seam.meanwhile = lambda: disable(world, "alice")
        answer = await world.post(world.acme.form())

        assert answer.json()["error"] == "invalid_grant"
        (event,) = await world.events()
        assert event["reason"] == "user_disabled"


async def test_a_client_that_is_disabled_while_the_password_is_hashed_is_refused(
    open_world: OpenWorld, hashing: HashingPool
) -> None:
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:

        async def disable_client() -> None:
            async with world.store() as store:
                await store.clients.set_active("spa", False)

        seam.meanwhile = disable_client
        answer = await world.post(world.acme.form())

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        (event,) = await world.events()
        assert event["reason"] == "client_disabled"


async def test_a_tenant_that_is_suspended_while_the_password_is_hashed_is_refused(
    open_world: OpenWorld, hashing: HashingPool
) -> None:
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:

        async def suspend() -> None:
            async with world.store() as store:
                await store.settings.set_active(False)

        seam.meanwhile = suspend
        answer = await world.post(world.acme.form())

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        async with world.store() as store:
            assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_a_full_queue_is_503_with_retry_after_at_once(open_world: OpenWorld, hashing: HashingPool) -> None:
    async with open_world(hashing_pool=SeamPool(hashing, full=True)) as world:
        answer = await world.post(world.acme.form())

        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "7"
        (event,) = await world.events()
        assert event["reason"] == "hashing_unavailable"


async def test_no_transaction_is_open_while_a_password_is_hashed(open_world: OpenWorld, hashing: HashingPool) -> None:
    """Rule 7. A pool of connections that is all taken by waiting logins would stop everything else."""
    seam = SeamPool(hashing)
    async with open_world(hashing_pool=seam) as world:
        taken: list[int] = []

        async def look() -> None:
            taken.append(world.installation.database.app.pool.checkedout())  # type: ignore[attr-defined]

        seam.meanwhile = look
        await world.login()

        assert taken == [0]

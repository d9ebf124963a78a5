"""Statements that run from what was kept say the same as SQLAlchemy's own way of running them, on both databases."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import bindparam, event, insert, select
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound, StatementError

from tenants import prepared
from tenants.database import Database
from tenants.store import Store
from tenants.tables import roles, sessions, users
from tenants.tenant import Tenant
from tests.conftest import Clock

_MINE = roles.c.tenant_id == bindparam("p_tenant_id")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every statement that was prepared; None for one that is left to SQLAlchemy."""
    made: list[Any] = []
    original = prepared._prepare

    def note(*args: Any, **kwargs: Any) -> Any:
        made.append(original(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(prepared, "_prepare", note)
    return made


async def fill(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for name in ("a", "b", "c"):
            await mine.roles.create(name, ["orders:read", "orders:write"])


async def test_rows_are_the_same_the_first_time_and_later(
    store: Store, acme: Tenant, clock: Clock, made: list[Any]
) -> None:
    async with store.for_tenant(acme.id) as mine:
        user = await mine.users.create("alice", email="alice@acme.test")
        await mine.sessions.start(user.id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + timedelta(hours=1))
    statement = (
        select(users.c.id, users.c.name, users.c.email_verified, sessions)
        .join(sessions, (sessions.c.tenant_id == users.c.tenant_id) & (sessions.c.user_id == users.c.id))
        .where(users.c.tenant_id == bindparam("p_tenant_id"), users.c.active, users.c.name != "bob")
        .limit(5)
    )
    async with store.for_tenant(acme.id, read_only=True) as mine:
        connection = mine.users._connection
        found = [(await connection.execute(statement, {"p_tenant_id": acme.id})).one() for _ in range(3)]
    assert made[-1] is not None
    first, second, third = (tuple(row) for row in found)
    assert first == second == third
    assert [type(value) for value in first] == [type(value) for value in second]
    assert found[1].name == "alice"
    assert found[1].auth_time == clock()
    assert found[1].amr == ["pwd"]


async def test_a_statement_that_is_built_anew_is_never_prepared(store: Store, acme: Tenant, made: list[Any]) -> None:
    async with store.for_tenant(acme.id, read_only=True) as mine:
        for _ in range(3):
            await mine.users._connection.execute(select(users.c.id).where(users.c.tenant_id == acme.id))
    assert made == []


async def test_what_a_result_is_asked_for(store: Store, acme: Tenant, made: list[Any]) -> None:
    await fill(store, acme)
    all_, none = (
        select(roles.c.name).where(_MINE).order_by(roles.c.name),
        select(roles.c.name).where(_MINE, roles.c.name == "nothing"),
    )
    key = {"p_tenant_id": acme.id}
    async with store.for_tenant(acme.id, read_only=True) as mine:
        connection = mine.roles._connection
        for statement in (all_, none):
            await connection.execute(statement, key)
        many, empty = await connection.execute(all_, key), await connection.execute(none, key)
    assert len(made) == 2
    assert [row.name for row in many] == ["a", "b", "c"]
    assert many.scalars().all() == ["a", "b", "c"]
    assert (many.first().name, many.scalar(), len(many.all())) == ("a", "a", 3)
    for ask in (many.one, many.one_or_none, many.scalar_one, many.scalar_one_or_none):
        with pytest.raises(MultipleResultsFound):
            ask()
    assert (empty.first(), empty.scalar(), empty.one_or_none(), empty.scalar_one_or_none()) == (None, None, None, None)
    for ask in (empty.one, empty.scalar_one):
        with pytest.raises(NoResultFound):
            ask()


async def test_rows_are_written_one_by_one_and_many_at_once(store: Store, acme: Tenant, made: list[Any]) -> None:
    added = insert(roles)
    async with store.for_tenant(acme.id) as mine:
        connection = mine.roles._connection
        for names in (["a"], ["b"]):
            rows = [{"tenant_id": acme.id, "name": name, "scopes": ["x"]} for name in names]
            await connection.execute(added, rows)
        await connection.execute(added, [{"tenant_id": acme.id, "name": name, "scopes": ["x"]} for name in "cde"])
        await connection.execute(added, {"tenant_id": acme.id, "name": "f", "scopes": ["y"]})
    assert all(each is not None for each in made)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = await mine.roles._connection.execute(select(roles.c.name, roles.c.scopes).where(roles.c.name != ""))
        assert {row.name: row.scopes for row in found} == {name: ["y" if name == "f" else "x"] for name in "abcdef"}


async def test_a_fault_is_sqlalchemys_and_shows_no_value(store: Store, acme: Tenant, made: list[Any]) -> None:
    await fill(store, acme)
    added = insert(roles)
    async with store.for_tenant(acme.id) as mine:
        connection = mine.roles._connection
        await connection.execute(added, {"tenant_id": acme.id, "name": "d", "scopes": []})
        with pytest.raises(IntegrityError) as caught:
            async with connection.begin_nested():
                await connection.execute(added, {"tenant_id": acme.id, "name": "d", "scopes": ["secret"]})
        assert "secret" not in str(caught.value).replace(str(caught.value.orig), "")
    assert made[0] is not None


async def test_a_parameter_that_is_missing_is_a_mistake(store: Store, acme: Tenant) -> None:
    statement = select(roles.c.name).where(_MINE, roles.c.name == bindparam("p_name"))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        connection = mine.roles._connection
        await connection.execute(statement, {"p_tenant_id": acme.id, "p_name": "a"})
        with pytest.raises(StatementError):
            await connection.execute(statement, {"p_tenant_id": acme.id})


async def test_lists_in_conditions_are_left_to_sqlalchemy(store: Store, acme: Tenant, made: list[Any]) -> None:
    await fill(store, acme)
    statement = select(roles.c.name).where(_MINE, roles.c.name.in_(bindparam("p_names", expanding=True)))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        for names in (["a"], ["a", "b"], []):
            found = await mine.roles._connection.execute(statement, {"p_tenant_id": acme.id, "p_names": names})
            assert sorted(found.scalars()) == names
    assert made[0] is None


async def test_whoever_listens_hears_every_statement(database: Database, store: Store, acme: Tenant) -> None:
    statement = select(users.c.id).where(users.c.tenant_id == bindparam("p_tenant_id"))
    heard: list[str] = []

    def note(*call: Any) -> None:
        heard.append(call[2])

    event.listen(database.app.sync_engine, "before_cursor_execute", note)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        for _ in range(3):
            await mine.users._connection.execute(statement, {"p_tenant_id": uuid4()})
    event.remove(database.app.sync_engine, "before_cursor_execute", note)
    assert sum("users" in each for each in heard) == 3

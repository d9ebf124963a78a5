"""Imports on both databases: in batches that are whole or not there, gone on with exactly, taken back."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.errors import AlreadyExists, InvalidValue
from tenants.import_lines import NewUser, Rules, read
from tenants.store import Store
from tenants.tables import metadata
from tenants.tenant import Tenant
from tenants.user_imports import Import, Undone
from tenants.visitor import Visitor
from tests.conftest import Clock
from tests.tenants.conftest import dump, of_tenant

BCRYPT = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"
DIGEST = bytes(range(32))
VISITOR = Visitor.of(IPv4Address("192.0.2.7"), "a browser")


def people(count: int, first: int = 0, **fields: object) -> list[NewUser]:
    """Users ``user0`` and so on, as they come from a file."""
    made = []
    for number in range(first, first + count):
        given = {
            "name": f"User{number}",
            "email": f"User{number}@example.com",
            "password_hash": BCRYPT,
            "roles": ["reader"],
        }
        user = read(number + 1, given | fields, Rules({"reader"}))
        assert isinstance(user, NewUser)
        made.append(user)
    return made


@pytest.fixture(autouse=True)
async def role(store: Store, acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, globex):
        async with store.for_tenant(tenant.id) as mine:
            await mine.roles.create("reader", ["orders:read"])


async def begin(store: Store, tenant: Tenant, lines: int) -> Import:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.imports.begin(DIGEST, lines)


async def write(store: Store, tenant: Tenant, found: Import, batch: Sequence[NewUser]) -> Import:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.imports.write(found, batch)


async def imported(store: Store, tenant: Tenant, count: int) -> Import:
    return await write(store, tenant, await begin(store, tenant, count), people(count))


async def names(store: Store, tenant: Tenant) -> list[str]:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return [user.name for user in await mine.users.list()]


async def test_an_imported_user_is_a_user_like_any(store: Store, acme: Tenant, clock: Clock) -> None:
    batch = [*people(1, email_verified=True), *people(1, first=1, active=False, password_hash=None, roles=None)]
    found = await write(store, acme, await begin(store, acme, 2), batch)
    assert (found.written, found.lines, found.finished_at) == (2, 2, clock())
    async with store.for_tenant(acme.id, read_only=True) as mine:
        one, other = await mine.users.by_login("user0@EXAMPLE.com"), await mine.users.by_name("USER1")
        assert one is not None
        assert other is not None
        assert (one.name, one.email, one.email_verified, one.active) == ("User0", "User0@example.com", True, True)
        assert (other.email_verified, other.active) == (False, False)
        password = await mine.credentials.password(one.id)
        assert password is not None
        assert (password.hash, password.version) == (BCRYPT, 1)
        assert await mine.credentials.password(other.id) is None
        assert await mine.roles.of_user(one.id) == ["reader"]
        assert await mine.roles.of_user(other.id) == []


async def test_the_scheme_stands_beside_the_hash(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    await imported(store, acme, 3)
    async with superuser.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        found = (await connection.execute(select(metadata.tables["passwords"].c.scheme))).scalars().all()
    assert found == ["bcrypt:4"] * 3


async def test_ids_are_different_and_in_the_order_of_the_file(store: Store, acme: Tenant, globex: Tenant) -> None:
    first, second = await imported(store, acme, 50), await imported(store, globex, 50)
    assert first.id != second.id
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = {user.name: user.id for user in await mine.users.list()}
    assert sorted(found, key=lambda name: found[name]) == [f"User{number}" for number in range(50)]
    assert all(user_id.version == 8 and user_id.variant == UUID(int=first.id.int).variant for user_id in found.values())


async def test_it_goes_on_where_it_was_interrupted(store: Store, acme: Tenant) -> None:
    begun = await begin(store, acme, 5)
    await write(store, acme, begun, people(2))

    async def interrupted() -> None:
        async with store.for_tenant(acme.id) as mine:
            left = await mine.imports.get(begun.id)
            assert left is not None
            await mine.imports.write(left, people(3, first=2))
            raise RuntimeError("the power is out")

    with pytest.raises(RuntimeError, match="the power is out"):
        await interrupted()
    async with store.for_tenant(acme.id, read_only=True) as mine:
        left = await mine.imports.unfinished(DIGEST)
    assert left is not None
    assert (left.id, left.written, left.lines, left.source_digest) == (begun.id, 2, 5, DIGEST)
    done = await write(store, acme, left, people(3, first=2))
    assert done.finished_at is not None
    assert await names(store, acme) == [f"User{number}" for number in range(5)]
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.imports.unfinished(DIGEST) is None
        assert await mine.imports.get(begun.id) == done


async def test_of_twenty_who_go_on_at_once_one_does(store: Store, acme: Tenant) -> None:
    begun = await begin(store, acme, 100)
    results = await asyncio.gather(*(write(store, acme, begun, people(3)) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, Import) for result in results) == 1
    assert sum(isinstance(result, InvalidValue) for result in results) == 19
    assert len(await names(store, acme)) == 3


async def test_an_import_has_no_more_users_than_it_began_with(store: Store, acme: Tenant) -> None:
    begun = await begin(store, acme, 2)
    with pytest.raises(InvalidValue):
        await write(store, acme, begun, people(3))
    assert await names(store, acme) == []


@pytest.mark.parametrize(
    ("theirs", "email", "told"),
    [
        ("USER1", None, "user 'User1' exists already"),
        ("carol", "USER1@example.com", "email address 'User1@example.com'"),
    ],
)
async def test_a_batch_with_somebody_who_came_first_is_not_there_at_all(
    store: Store, acme: Tenant, theirs: str, email: str | None, told: str
) -> None:
    begun = await begin(store, acme, 3)
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create(theirs, email=email)
    with pytest.raises(AlreadyExists, match=told):
        await write(store, acme, begun, people(3))
    assert await names(store, acme) == [theirs]
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.imports.get(begun.id) == begun


async def test_what_is_taken_is_known_beforehand(store: Store, acme: Tenant, globex: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("uSER1")
        await mine.users.create("carol", email="USER2@example.com")
    async with store.for_tenant(acme.id, read_only=True) as mine:
        taken = await mine.imports.taken(people(4))
        assert [taken.by(user) for user in people(4)] == [
            *(None, "user 'User1'"),
            *("email address 'User2@example.com'", None),
        ]
        assert (await mine.imports.taken([])).names == frozenset()
    async with store.for_tenant(globex.id, read_only=True) as mine:
        taken = await mine.imports.taken(people(4))
        assert [taken.by(user) for user in people(4)] == [None] * 4


# --- taking it back


async def undo(store: Store, tenant: Tenant, import_id: UUID) -> Undone:
    async with store.for_tenant(tenant.id) as mine:
        assert await mine.imports.begin_undo(import_id)
        return await mine.imports.undo(import_id)


async def test_an_import_is_taken_back_and_nothing_of_it_stays(
    store: Store, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("alice")
    await imported(store, globex, 4)
    before = await dump(superuser)
    found = await imported(store, acme, 4)
    assert await undo(store, acme, found.id) == Undone(4, 0, None)
    after = await dump(superuser)
    assert of_tenant(after, globex.id) == of_tenant(before, globex.id)
    assert {name for name in after if after[name] != before[name]} == {"user_imports"}
    assert await undo(store, acme, found.id) == Undone(0, 0, None)


async def test_after_it_began_to_be_taken_back_nothing_more_is_written(store: Store, acme: Tenant) -> None:
    begun = await begin(store, acme, 5)
    begun = await write(store, acme, begun, people(2))
    await undo(store, acme, begun.id)
    with pytest.raises(InvalidValue):
        await write(store, acme, begun, people(3, first=2))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.imports.unfinished(DIGEST) is None
    assert await names(store, acme) == []


async def test_who_used_their_account_stays(store: Store, acme: Tenant, clock: Clock, database: Database) -> None:
    found = await imported(store, acme, 7)
    async with store.for_tenant(acme.id) as mine:
        ids = [user.id for user in await mine.users.list()]
        session = await mine.sessions.start(ids[0], acr="a", amr=["pwd"], expires_at=clock())
        await mine.sessions.end(session.id)
        await mine.credentials.set_password(ids[1], BCRYPT)
        await mine.devices.remember_network(ids[2], "192.0.2.7")
        await mine.devices.remember(
            ids[3], None, visitor=VISITOR, lifetime=acme.lifetimes.known_device, trusted_for=None
        )
        await mine.factors.enrol(ids[4], name="a phone", issuer_name="Acme", account="user4")
        await mine.audit.add(Event(type="login.succeeded", outcome="success", subject=str(ids[5])))
        await mine.audit.add(Event(type="login.refused", outcome="refused", subject=str(ids[6])))
    await AuditLog(database).sequence()
    assert await undo(store, acme, found.id) == Undone(1, 6, None)
    assert await names(store, acme) == [f"User{number}" for number in range(6)]


async def test_a_large_import_is_taken_back_in_steps(store: Store, acme: Tenant) -> None:
    found = await imported(store, acme, 2050)
    steps, after = [], None
    async with store.for_tenant(acme.id) as mine:
        await mine.imports.begin_undo(found.id)
        stays = await mine.users.by_name("user1500")
        assert stays is not None
        await mine.credentials.set_password(stays.id, BCRYPT)
    while not steps or after is not None:
        async with store.for_tenant(acme.id) as mine:
            step = await mine.imports.undo(found.id, after=after)
        steps.append((step.removed, step.kept))
        after = step.last
    assert steps == [(1000, 0), (999, 1), (50, 0)]
    assert await names(store, acme) == ["User1500"]


async def test_what_is_no_import_cannot_be_taken_back(store: Store, acme: Tenant, globex: Tenant) -> None:
    theirs = await imported(store, globex, 2)
    async with store.for_tenant(acme.id) as mine:
        assert not await mine.imports.begin_undo(uuid4())
        assert not await mine.imports.begin_undo(theirs.id)
        assert await mine.imports.get(theirs.id) is None
        assert await mine.imports.unfinished(DIGEST) is None
        assert await mine.imports.undo(theirs.id) == Undone(0, 0, None)
    assert len(await names(store, globex)) == 2

"""Everything sealed moves to another master key, on both databases, beside those who write, and gone on with."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import LargeBinary, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import resealing
from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_tree import AuditTree
from tenants.database import Database
from tenants.directory import Directory
from tenants.installation import check_master_key
from tenants.resealing import Count, Resealing, sealed_columns
from tenants.schema import Sealed
from tenants.sealing import MasterKey, MasterKeys
from tenants.store import Store
from tenants.tables import installation, metadata
from tests.conftest import Clock
from tests.tenants.conftest import LogAndTrees, dump
from tests.tenants.test_isolation import Inhabitants, settle

OLD, NEW = MasterKey("old", b"o" * 32), MasterKey("new", b"n" * 32)
COLUMNS = (
    "audit_keys.sealed_private",
    "idempotency_keys.sealed_answer",
    "mail_outbox.sealed_fields",
    "refresh_tokens.sealed_successor",
    "signing_keys.sealed_private",
    "totp_factors.sealed_secret",
    "installation.master_key_check",
)
PLAIN = {"audit_trees.edge", "audit_outbox.event", "audit_events.event", "logos.image", "installation.stand_in_secret"}
"""Binary, of any length, and no envelope."""


@pytest.fixture
def master_keys() -> MasterKeys:
    return MasterKeys([OLD])


@pytest.fixture
async def me(
    database: Database,
    directory: Directory,
    store: Store,
    clock: Clock,
    master_keys: MasterKeys,
    log_and_trees: LogAndTrees,
) -> Inhabitants:
    await check_master_key(database, master_keys)
    made = await settle(directory, store, clock, 1)
    await log_and_trees()
    return made


@pytest.fixture
def work(database: Database, clock: Clock) -> Resealing:
    return Resealing(database, MasterKeys([NEW, OLD]), clock)


async def walk(work: Resealing, me: Inhabitants, *only: str) -> Counter[str]:
    """To the end, once."""
    moved: Counter[str] = Counter()
    for sealed in sealed_columns():
        after, more = None, not only or sealed.name in only
        while more:
            portion = await work.reseal(sealed, after, platform=me.tenant_id, actor="test")
            assert not portion.unopened
            moved[sealed.name] += portion.resealed
            after, more = portion.last, portion.last is not None
    return moved


def test_the_sealed_columns_are_these() -> None:
    assert tuple(sealed.name for sealed in sealed_columns()) == COLUMNS


def test_no_column_holds_an_envelope_that_is_not_of_the_type() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            name, is_sealed = f"{table.name}.{column.name}", isinstance(column.type, Sealed)
            assert is_sealed or not column.name.startswith("sealed"), name
            if isinstance(column.type, LargeBinary) and column.type.length is None:
                assert is_sealed is (name not in PLAIN), f"{name} holds an envelope (Sealed), or belongs into PLAIN"


def test_whatever_is_sealed_for_a_table_has_its_column_in_the_walk() -> None:
    places = set()
    for path in Path(resealing.__file__).parent.glob("*.py"):
        code = path.read_text(encoding="utf-8")
        found = set(re.findall(r'"table": "(\w+)", "row": [^,]+, "column": "(\w+)"', code))
        assert found or "_keys.seal(" not in code or "SealedColumn" in code, f"{path.name} seals without a place"
        places |= found
    assert {f"{table}.{column}" for table, column in places} == set(COLUMNS)


async def test_everything_is_moved_and_opens_under_the_new_key_alone(
    database: Database, me: Inhabitants, work: Resealing, clock: Clock
) -> None:
    before = await work.counts()
    assert {count.key_id for count in before} == {"old"}
    moved = await walk(work, me)
    assert moved == {count.column: count.rows for count in before}
    assert set(moved) == set(COLUMNS)
    assert await work.counts() == [replace(count, key_id="new") for count in before]
    alone = MasterKeys([NEW])
    await check_master_key(database, alone)
    clock.advance(minutes=5)
    async with Store(database, alone, clock).for_tenant(me.tenant_id) as mine:
        assert (await mine.keys.signing()).kid in me.kids
        letter = await mine.mail_outbox.claim(me.letter.id, lease=timedelta())
        assert letter is not None
        assert mine.mail_outbox.open(letter) == {"identifier": "alice@tenant-1.example"}
        spent = await mine.refresh_tokens.find(me.first_refresh_token)
        assert spent is not None
        assert mine.refresh_tokens.successor(spent) == me.refresh_token
        assert await mine.factors.redeem(me.user_id, pyotp.TOTP(me.confirmed.secret).at(clock()))
    await AuditLog(database).sequence()
    assert await AuditTree(database, AuditKeys(alone, "auth.example.com"), clock).grow() is False


async def test_what_is_moved_is_told_in_the_transaction_that_moves_it(
    database: Database, me: Inhabitants, work: Resealing
) -> None:
    moved = await walk(work, me)
    await AuditLog(database).sequence()
    entries = await AuditLog(database).newest(me.tenant_id, limit=20)
    told = [event for event in (json.loads(entry.event) for entry in entries) if event["type"] == "master_key.resealed"]
    assert {event["details"]["column"]: event["count"] for event in told} == moved
    assert {(event["actor"], event["details"]["master_key"]) for event in told} == {("test", "new")}


async def test_one_that_was_broken_off_is_gone_on_with_by_beginning_anew(
    database: Database, me: Inhabitants, clock: Clock
) -> None:
    keys = next(sealed for sealed in sealed_columns() if sealed.name == "signing_keys.sealed_private")
    by_one = Resealing(database, MasterKeys([NEW, OLD]), clock, portion=1)
    first = await by_one.reseal(keys, platform=me.tenant_id, actor="test")
    assert (first.resealed, len(first.last or ())) == (1, 2)
    between = [count for count in await by_one.counts() if count.column == keys.name]
    assert sorted(between, key=str) == [Count(keys.name, "new", 1), Count(keys.name, "old", 1)]
    async with Store(database, MasterKeys([NEW, OLD]), clock).for_tenant(me.tenant_id) as mine:
        assert (await mine.keys.signing()).kid in me.kids
    assert (await walk(by_one, me))[keys.name] == 1
    assert await walk(by_one, me) == dict.fromkeys(COLUMNS, 0)


async def test_a_dry_run_opens_everything_and_writes_nothing(
    superuser: AsyncEngine, me: Inhabitants, work: Resealing
) -> None:
    before = await dump(superuser)
    opened = {sealed.name: (await work.rehearse(sealed)).resealed for sealed in sealed_columns()}
    assert opened == {count.column: count.rows for count in await work.counts()}
    assert await dump(superuser) == before


async def test_what_does_not_open_is_named_and_keeps_nothing_else_from_moving(
    superuser: AsyncEngine, me: Inhabitants, work: Resealing
) -> None:
    factors, (first, *others) = metadata.tables["totp_factors"], [me.confirmed.factor_id, me.waiting.factor_id]
    lost = MasterKeys([MasterKey("lost", b"l" * 32)]).seal(
        b"x", tenant=me.tenant_id, table="totp_factors", row=str(first), column="sealed_secret"
    )
    async with superuser.begin() as connection:
        await connection.execute(update(factors).where(factors.c.id == first).values(sealed_secret=lost))
        await connection.execute(update(metadata.tables["mail_outbox"]).values(sealed_fields=b""))
    by_name = {sealed.name: sealed for sealed in sealed_columns()}
    portion = await work.reseal(by_name["totp_factors.sealed_secret"], platform=me.tenant_id, actor="test")
    assert portion.resealed == len(others)
    (said,) = portion.unopened
    assert str(first) in said
    assert "master key lost, which is not in the key file" in said
    counts = await work.counts()
    assert Count("totp_factors.sealed_secret", "lost", 1) in counts
    assert Count("mail_outbox.sealed_fields", None, 1) in counts


async def test_what_stands_in_for_unknown_users_stays_what_it_was(
    database: Database, me: Inhabitants, store: Store, work: Resealing, superuser: AsyncEngine, clock: Clock
) -> None:
    """Else who times a name twice would see that nobody has it."""
    hashes = ["$2b$04$" + "u" * 53, "$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43]
    async with superuser.begin() as connection:  # as a release of before leaves it
        await connection.execute(update(installation).values(stand_in_secret=None))
    async with store.for_tenant(me.tenant_id) as mine:
        for number, hash_ in enumerate(hashes):
            user = await mine.users.create(f"user{number}")
            await mine.credentials.set_password(user.id, hash_)
    names = [f"nobody{number}" for number in range(20)]

    async def drawn(ring: MasterKeys) -> list[list[str]]:
        async with Store(database, ring, clock).for_tenant(me.tenant_id, read_only=True) as mine:
            return [(await mine.credentials.stand_in(name)).split("$")[1:2] for name in names]

    before = await drawn(MasterKeys([OLD]))
    assert len(set(map(tuple, before))) > 1
    await walk(work, me)
    assert await drawn(MasterKeys([NEW])) == before


# --- beside writers


async def test_refreshes_go_on_meanwhile_and_no_successor_is_lost(
    database: Database, me: Inhabitants, work: Resealing, clock: Clock
) -> None:
    writers = Store(database, MasterKeys([OLD, NEW]), clock)  # they have not heard yet which key seals
    async with writers.for_tenant(me.tenant_id) as mine:
        firsts = [
            await mine.refresh_tokens.begin_family(
                me.session.id, "app", scopes=[], audiences=[], idle=timedelta(hours=1), absolute=timedelta(hours=1)
            )
            for _ in range(20)
        ]

    async def spend(token: str) -> str | None:
        async with writers.for_tenant(me.tenant_id) as mine:
            found = await mine.refresh_tokens.find(token)
            assert found is not None
            return await mine.refresh_tokens.spend(found, idle=timedelta(hours=1))

    column = "refresh_tokens.sealed_successor"
    successors, *_ = await asyncio.gather(
        asyncio.gather(*map(spend, firsts)), walk(work, me, column), walk(work, me, column), walk(work, me, column)
    )
    await walk(work, me, column)
    async with Store(database, MasterKeys([NEW]), clock).for_tenant(me.tenant_id, read_only=True) as mine:
        for first, successor in zip(firsts, successors, strict=True):
            spent = await mine.refresh_tokens.find(first)
            assert spent is not None
            assert mine.refresh_tokens.successor(spent) == successor


@pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)
async def test_who_holds_a_row_is_not_waited_for_and_is_not_overwritten(
    superuser: AsyncEngine, me: Inhabitants, work: Resealing
) -> None:
    letters = metadata.tables["mail_outbox"]
    place = {"tenant": me.tenant_id, "table": "mail_outbox", "row": str(me.letter.id), "column": "sealed_fields"}
    theirs = MasterKeys([OLD]).seal(b"another", **place)
    async with superuser.connect() as connection, asyncio.timeout(5):
        await connection.execute(update(letters).values(sealed_fields=theirs))
        assert (await walk(work, me))["mail_outbox.sealed_fields"] == 0
        await connection.commit()
    assert (await walk(work, me))["mail_outbox.sealed_fields"] == 1
    async with superuser.connect() as connection:
        (after,) = (await connection.execute(select(letters.c.sealed_fields))).scalars()
    assert MasterKeys([NEW]).open(bytes(after), **place) == b"another"

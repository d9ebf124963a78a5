"""The Merkle tree above each tenant's log, and its signed checkpoints.

It grows behind the sequencer, who only appends: what has to be known is the right edge, so a log that is millions long
costs nothing more, and one that is older than the tree catches up by the same steps. One process of a cluster at a
time. As ``yett_system``. Reading the tree is audit_proofs.py's.

Whoever appended to a log says so where it did (``mark``), and its tree follows; nobody else has to look at the heads of
all logs for that. What was appended by a process that is gone since, ``grow`` finds, which does look at all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Row, Select, bindparam, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.merkle import Edge
from tenants import audit_keys
from tenants.audit_keys import AuditKeys
from tenants.audit_tables import audit_nodes, audit_trees
from tenants.database import Database
from tenants.sealing import Unsealable
from tenants.signed_note import VerifierKey
from tenants.tables import audit_events, audit_heads, tenants

_LOCK = 0x79657474_74726565  # "yetttree"
_TENANTS_AT_ONCE = 20
_LEAVES_AT_ONCE = 1000  # some 3 ms of hashing, which the event loop waits for
_MOST_LEAVES = 5000  # in one transaction, of each tenant

_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
_LOCKED = text("SELECT pg_advisory_xact_lock(:key)")
_GROWN = func.coalesce(audit_trees.c.size, 0)
_STAYS = or_(tenants.c.delete_at.is_(None), tenants.c.delete_at > bindparam("p_now"))
_BEHIND = (
    select(audit_heads.c.tenant_id, tenants.c.slug)
    .join(tenants, tenants.c.id == audit_heads.c.tenant_id)
    .join(audit_trees, audit_trees.c.tenant_id == audit_heads.c.tenant_id, isouter=True)
    .where(audit_heads.c.size > _GROWN, _STAYS)
    .order_by(audit_heads.c.tenant_id)
    .limit(_TENANTS_AT_ONCE)
)
_BEHIND_OF = _BEHIND.where(audit_heads.c.tenant_id.in_(bindparam("p_tenant_ids", expanding=True)))
_BEHIND_AFTER = _BEHIND.where(audit_heads.c.tenant_id > bindparam("p_after"))
_OF_TENANT: BindParameter[UUID] = bindparam("p_tenant_id")
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == _OF_TENANT)
_TREE = select(audit_trees).where(audit_trees.c.tenant_id == _OF_TENANT)
_CHECKPOINT = select(audit_trees.c.checkpoint, audit_trees.c.size, audit_trees.c.signed_at).where(
    audit_trees.c.tenant_id == _OF_TENANT
)
_LEAVES = (
    select(audit_events.c.leaf)
    .where(
        audit_events.c.tenant_id == _OF_TENANT,
        audit_events.c.position >= bindparam("p_begin"),
        audit_events.c.position < bindparam("p_end"),
    )
    .order_by(audit_events.c.position)
)
_PUT_NODES = insert(audit_nodes)
_PLANT = insert(audit_trees)
_GROW = update(audit_trees).where(audit_trees.c.tenant_id == _OF_TENANT)


class LogIncomplete(Exception):
    """Rows of a log are missing from the database: somebody took them out."""

    def __init__(self, tenant_id: UUID, begin: int, end: int) -> None:
        super().__init__(
            f"of the audit log of tenant {tenant_id}, one or more of the events {begin} to {end - 1} are missing from "
            "the database: somebody took them out. Restore them from a backup."
        )


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The newest one of a log: the signed note, and how many events it is of."""

    note: str
    size: int
    signed_at: datetime


class AuditTree:
    """Grows the trees of all tenants."""

    def __init__(self, database: Database, keys: AuditKeys, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._marked = set[UUID]()

    def mark(self, tenant_ids: Iterable[UUID]) -> None:
        """The logs of these have grown."""
        self._marked.update(tenant_ids)

    async def follow(self) -> bool:
        """Let the trees of marked logs grow, as ``grow`` does; without any mark, nothing is asked.

        Raises:
            ExceptionGroup: as ``grow``; they are tried again the next time.
        """
        marked, self._marked = self._marked, set()
        todo = sorted(marked)
        more, failures = False, list[Exception]()
        try:
            while todo:
                at_once = todo[:_TENANTS_AT_ONCE]
                behind = await self._read(_BEHIND_OF, {"p_tenant_ids": at_once})
                again = await self._grow_these(behind, failures)
                if again is None:
                    break
                more |= bool(again)
                marked -= set(at_once) - again
                del todo[:_TENANTS_AT_ONCE]
        finally:  # who has not had a turn, or not to the end, keeps the mark
            self._marked |= marked
        if failures:
            raise ExceptionGroup("trees of audit logs could not grow", failures)
        return more

    async def grow(self) -> bool:
        """Let each tree that is behind its log grow by some thousand events and sign a checkpoint; whether one is
        behind still. A process that finds another one at it does nothing.

        Raises:
            ExceptionGroup: of the tenants whose trees could not grow, once all others had their turn.
        """
        more, failures = False, list[Exception]()
        behind = await self._read(_BEHIND, {})
        while behind:
            again = await self._grow_these(behind, failures)
            if again is None:
                break
            more |= bool(again)
            behind = await self._read(_BEHIND_AFTER, {"p_after": behind[-1].tenant_id})
        if failures:
            raise ExceptionGroup("trees of audit logs could not grow", failures)
        return more

    async def bring_up(self, tenant_id: UUID, slug: str) -> SignedCheckpoint:
        """Let one tree grow as far as its log goes, and give its newest checkpoint.

        Raises:
            LogIncomplete: rows of the log are missing.
            Unsealable: the key cannot be opened.
        """
        more = True
        while more:
            async with self._database.system_step() as connection:
                if not self._database.is_sqlite:
                    await connection.execute(_LOCKED, {"key": _LOCK})
                more = await self._grow(connection, tenant_id, slug)
                found = (await connection.execute(_CHECKPOINT, {"p_tenant_id": tenant_id})).one()
        return SignedCheckpoint(found.checkpoint, found.size, found.signed_at)

    async def newest_checkpoint(self, tenant_id: UUID) -> SignedCheckpoint | None:
        """As it was signed last; None where the tree has not begun yet."""
        async with self._database.system_snapshot() as connection:
            found = (await connection.execute(_CHECKPOINT, {"p_tenant_id": tenant_id})).one_or_none()
        return None if found is None else SignedCheckpoint(found.checkpoint, found.size, found.signed_at)

    async def verifier(self, tenant_id: UUID) -> VerifierKey | None:
        """What verifies the tenant's checkpoints; None before the first one."""
        async with self._database.system_snapshot() as connection:
            return await audit_keys.verifier(connection, tenant_id)

    async def _read(self, behind: Select[UUID, str], asked: dict[str, Any]) -> Sequence[Row[UUID, str]]:
        async with self._database.system_snapshot() as connection:
            return (await connection.execute(behind, asked | {"p_now": self._clock()})).all()

    async def _grow_these(self, behind: Sequence[Row[UUID, str]], failures: list[Exception]) -> set[UUID] | None:
        """Some steps of each, in one transaction. Which are behind still or failed; None where another process is at
        it.
        """
        again = set[UUID]()
        if not behind:
            return again
        async with self._database.system_step() as connection:
            if not self._database.is_sqlite:  # SQLite has one writer at a time by itself
                locked = await connection.execute(_TRY_LOCK, {"key": _LOCK})
                if not locked.scalar_one():
                    return None
            for tenant_id, slug in behind:
                try:
                    async with connection.begin_nested():
                        if await self._grow(connection, tenant_id, slug):
                            again.add(tenant_id)
                except (LogIncomplete, Unsealable, ValueError, IntegrityError) as error:
                    failures.append(error)
                    again.add(tenant_id)
        return again

    async def _grow(self, connection: AsyncConnection, tenant_id: UUID, slug: str) -> bool:
        mine = {"p_tenant_id": tenant_id}
        log: int = (await connection.execute(_SIZE, mine)).scalar_one_or_none() or 0
        tree = (await connection.execute(_TREE, mine)).one_or_none()
        edge = Edge() if tree is None else Edge.parse(tree.size, tree.edge)
        if tree is not None and edge.size >= log:
            return False
        nodes, goal = [], min(log, edge.size + _MOST_LEAVES)
        while edge.size < goal:
            begin, end = edge.size, min(goal, edge.size + _LEAVES_AT_ONCE)
            leaves = (await connection.execute(_LEAVES, mine | {"p_begin": begin, "p_end": end})).scalars().all()
            if len(leaves) != end - begin:
                raise LogIncomplete(tenant_id, begin, end)
            nodes += edge.extend(leaves)
        now = self._clock()
        key = await self._keys.signer(connection, tenant_id, slug, now)
        if nodes:
            await connection.execute(_PUT_NODES, [{"tenant_id": tenant_id, **node._asdict()} for node in nodes])
        grown = {
            "size": edge.size,
            "edge": edge.stored(),
            "checkpoint": key.signed(edge.size, edge.root()),
            "signed_at": now,
        }
        if tree is None:
            await connection.execute(_PLANT, {"tenant_id": tenant_id, "erased": 0} | grown)
        else:
            await connection.execute(_GROW, mine | grown)
        return edge.size < log

"""Letters that wait: put here in the transaction of the change that they tell of, written and sent by a job.

A request never waits for mail, and never shows whether there is somebody to write to: it adds one row, whoever it is
about. What a letter is about is sealed, since it may be what somebody typed. The link of a letter is no part of the
row: the job makes it, each time that it tries.

Delivery is at least once: a process that dies between a server's acceptance and ``remove`` leaves a letter that is sent
again.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import CTE, ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.people_tables import mail_outbox
from tenants.pruning import delete_oldest
from tenants.sealing import MasterKeys, Unsealable
from tenants.user_names import look_up_key

LetterKind = Literal[
    "reset",
    "sign_up",
    "verify",
    "invite",
    "new_device",
    "password_changed",
    "factor_added",
    "factor_removed",
    "email_changed",
]

_INSERT = insert(mail_outbox)
_READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class WaitingLetter:
    """One that this process has claimed. ``attempts`` counts this one, too; ``open`` opens ``sealed_fields``."""

    id: UUID
    kind: LetterKind
    created_at: datetime
    attempts: int
    sealed_fields: bytes = field(repr=False)


class MailOutbox:
    """One tenant's letters."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, master_keys: MasterKeys, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._master_keys = master_keys
        self._now = now

    async def add(self, kind: LetterKind, fields: Mapping[str, str]) -> None:
        """Leave a letter to be sent once this transaction has committed. The same work whoever it is about."""
        letter_id = uuid4()
        sealed = self._master_keys.seal(json.dumps(dict(fields)).encode(), **self._place(letter_id))
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "id": letter_id,
                "kind": kind,
                "sealed_fields": sealed,
                "created_at": self._now,
                "next_at": self._now,
                "attempts": 0,
            },
        )

    async def claim(self, letter_id: UUID, *, lease: timedelta) -> WaitingLetter | None:
        """Take a letter that is due: until the lease is over nobody else can. None where another process has it."""
        claimed = await self._connection.execute(
            update(mail_outbox)
            .where(*self._row(letter_id), mail_outbox.c.next_at <= self._now)
            .values(next_at=self._now + lease, attempts=mail_outbox.c.attempts + 1)
            .returning(
                mail_outbox.c.kind, mail_outbox.c.created_at, mail_outbox.c.attempts, mail_outbox.c.sealed_fields
            )
        )
        row = claimed.one_or_none()
        if row is None:
            return None
        return WaitingLetter(letter_id, row.kind, row.created_at, row.attempts, row.sealed_fields)

    def open(self, letter: WaitingLetter) -> Mapping[str, str]:
        """What the letter is about, as ``add`` was told.

        Raises:
            Unsealable: the master key is another.
        """
        fields: dict[str, str] = json.loads(
            self._master_keys.open(letter.sealed_fields, **self._place(letter.id)).decode()
        )
        return fields

    async def postpone(self, letter: WaitingLetter, until: datetime, *, counted: bool = True) -> None:
        """Give a claimed letter back, to be tried again then. Nothing where another process has claimed it since.

        Not ``counted``, in the transaction of the claim: nobody has looked at it, and the next attempt is its first.
        """
        mine = *self._row(letter.id), mail_outbox.c.attempts == letter.attempts
        attempts = letter.attempts if counted else letter.attempts - 1
        await self._connection.execute(update(mail_outbox).where(*mine).values(next_at=until, attempts=attempts))

    async def remove(self, letter: WaitingLetter) -> bool:
        """It has been sent, or never will be. False where it was gone already."""
        removed = await self._connection.execute(delete(mail_outbox).where(*self._row(letter.id)))
        return removed.rowcount == 1

    async def remove_about(self, keys: Collection[str]) -> int:
        """Remove every letter that names one of these (keys of user_names.py, or a user's id): the person is to be
        erased. Says how many. What cannot be opened cannot be sent either, and is pruned.
        """
        removed, after = 0, UUID(int=0)
        mine = mail_outbox.c.tenant_id == self._tenant_id
        while True:
            some = select(mail_outbox.c.id, mail_outbox.c.sealed_fields).where(mine, mail_outbox.c.id > after)
            rows = (await self._connection.execute(some.order_by(mail_outbox.c.id).limit(_READ_AT_ONCE))).all()
            theirs = [row.id for row in rows if any(look_up_key(said) in keys for said in self._said(*row))]
            if theirs:
                await self._connection.execute(delete(mail_outbox).where(mine, mail_outbox.c.id.in_(theirs)))
                removed += len(theirs)
            if len(rows) < _READ_AT_ONCE:
                return removed
            after = rows[-1].id

    def _said(self, letter_id: UUID, sealed_fields: bytes) -> Iterable[str]:
        try:
            fields: dict[str, str] = json.loads(self._master_keys.open(sealed_fields, **self._place(letter_id)))
        except Unsealable:
            return ()
        return fields.values()

    def _row(self, letter_id: UUID) -> tuple[ColumnElement[bool], ...]:
        return mail_outbox.c.tenant_id == self._tenant_id, mail_outbox.c.id == letter_id

    def _place(self, letter_id: UUID) -> dict[str, str]:
        tenant = str(self._tenant_id)
        return {"tenant": tenant, "table": "mail_outbox", "row": str(letter_id), "column": "sealed_fields"}


async def due(connection: AsyncConnection, now: datetime, *, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Tenant and id of letters whose time has come, every tenant's first one before anybody's second. As
    ``yett_system``.

    In turns, because a stranger may have any number of letters written in a tenant that he picks, and no other tenant's
    shall wait behind them. Each tenant gets an equal share of ``limit``, so that it may not be reached; and no more is
    read than that, however many wait: every step is a few probes of ``ix_mail_outbox_next``.
    """
    waiting = _tenants_that_have_letters()
    first = (
        select(mail_outbox.c.next_at)
        .where(mail_outbox.c.tenant_id == waiting.c.tenant_id)
        .order_by(mail_outbox.c.next_at)
        .limit(1)
        .scalar_subquery()
    )
    by_tenant = select(waiting.c.tenant_id, first.label("first")).where(waiting.c.tenant_id.is_not(None)).subquery()
    in_turn = select(by_tenant.c.tenant_id).where(by_tenant.c.first <= now).order_by(by_tenant.c.first).limit(limit)
    tenant_ids = (await connection.execute(in_turn)).scalars().all()
    turns = []
    for tenant_id in tenant_ids:
        theirs = (
            select(mail_outbox.c.tenant_id, mail_outbox.c.id)
            .where(mail_outbox.c.tenant_id == tenant_id, mail_outbox.c.next_at <= now)
            .order_by(mail_outbox.c.next_at)
            .limit(-(-limit // len(tenant_ids)))
        )
        turns.append([(row.tenant_id, row.id) for row in await connection.execute(theirs)])
    return [letter for turn in zip_longest(*turns) for letter in turn if letter is not None][:limit]


def _tenants_that_have_letters() -> CTE:
    """From one tenant's letters to the next one's, without reading what lies between; a NULL is the end."""
    lowest = select(mail_outbox.c.tenant_id).order_by(mail_outbox.c.tenant_id).limit(1)
    found = select(lowest.scalar_subquery().label("tenant_id")).cte("waiting", recursive=True)
    following = lowest.where(mail_outbox.c.tenant_id > found.c.tenant_id).scalar_subquery()
    return found.union_all(select(following).where(found.c.tenant_id.is_not(None)))


async def prune(connection: AsyncConnection, written_before: datetime) -> bool:
    """Forget some letters that nobody sent, since an installation may have no mail; whether there are more. As
    ``yett_system``.
    """
    return await delete_oldest(connection, mail_outbox.c.created_at, mail_outbox.c.created_at < written_before)

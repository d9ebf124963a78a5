"""Links that are sent by mail: single-use secrets, each for one purpose.

Owns the rows and the one conditional UPDATE that uses a link up (rule 7). A link proves that somebody reads the mail of
an address, nothing more: what it opens repeats every check that sending it made. To look at a link changes nothing,
since mail scanners open links, too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.people_tables import mail_links
from tenants.pruning import delete_oldest
from tenants.user_names import look_up_key

Purpose = Literal["reset", "sign_up", "verify", "invite"]
# The last two of an address are told apart by their purpose, which every query names.
_PREFIXES: Mapping[Purpose, opaque.Prefix] = {"reset": "ypr_", "sign_up": "yvf_", "verify": "yvf_", "invite": "yic_"}


@dataclass(frozen=True, slots=True)
class MailLink:
    """A link that may be used still. ``user_id`` is whom it is for, where they exist; ``email`` where it was sent.

    ``data`` is what has to be remembered until it is used: an invitation's name, roles and sender.
    """

    digest: bytes = field(repr=False)
    purpose: Purpose
    user_id: UUID | None
    email: str | None
    data: Mapping[str, Any] = field(repr=False)
    created_at: datetime
    expires_at: datetime


class MailLinks:
    """One tenant's links."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def make(
        self,
        purpose: Purpose,
        *,
        lifetime: timedelta,
        user_id: UUID | None = None,
        email: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str:
        """A new link's secret, shown this once; it begins with its purpose's prefix."""
        secret = opaque.new(_PREFIXES[purpose])
        await self._connection.execute(
            insert(mail_links).values(
                tenant_id=self._tenant_id,
                digest=opaque.digest(secret),
                purpose=purpose,
                user_id=user_id,
                email=email,
                data=dict(data or {}),
                created_at=self._now,
                expires_at=self._now + lifetime,
            )
        )
        return secret

    async def find(self, purpose: Purpose, unverified_secret: str) -> MailLink | None:
        """The link of this purpose that the secret is, while it is neither used nor expired. Changes nothing."""
        query = select(mail_links).where(*self._live(purpose), mail_links.c.digest == opaque.digest(unverified_secret))
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        return MailLink(row.digest, purpose, row.user_id, row.email, row.data, row.created_at, row.expires_at)

    async def consume(self, link: MailLink) -> bool:
        """Use it up, once. False where another request was first, or where its time is over."""
        return await self._end(*self._live(link.purpose), mail_links.c.digest == link.digest) == 1

    async def end(self, purpose: Purpose, secret: str) -> None:
        """End one that was made and is not to be used: its letter was not sent."""
        await self._end(*self._live(purpose), mail_links.c.digest == opaque.digest(secret))

    async def end_all(self, user_id: UUID, *purposes: Purpose) -> None:
        """End every link of these purposes that a user has: a newer one is made, or what they were for has been done,
        or the account has changed hands since.
        """
        for purpose in purposes:
            await self._end(*self._live(purpose), mail_links.c.user_id == user_id)

    async def end_for(self, email: str, purpose: Purpose) -> int:
        """End every link of this purpose that went to this address, as it was written; says how many."""
        return await self._end(*self._live(purpose), mail_links.c.email == email)

    async def end_named(self, name: str) -> int:
        """End every invitation that was made out to this name, in any spelling; says how many. One that went to an
        address says its name as well.
        """
        live, key = self._live("invite"), look_up_key(name)
        query = select(mail_links.c.digest, mail_links.c.data).where(*live, mail_links.c.user_id.is_(None))
        theirs = [
            row.digest
            for row in await self._connection.execute(query)
            if key is not None and look_up_key(str(row.data.get("name") or "")) == key
        ]
        return await self._end(*live, mail_links.c.digest.in_(theirs)) if theirs else 0

    async def remove_for(self, keys: Collection[str]) -> int:
        """Remove every link that went to one of these addresses or invited one of these names (keys of user_names.py),
        used or not: the person is to be erased. Says how many.
        """
        nobodys = mail_links.c.tenant_id == self._tenant_id, mail_links.c.user_id.is_(None)
        named = select(mail_links.c.digest, mail_links.c.email, mail_links.c.data).where(*nobodys)
        theirs = [
            row.digest
            for row in await self._connection.execute(named)
            if any(look_up_key(name) in keys for name in (row.email, row.data.get("name")) if name)
        ]
        if theirs:
            await self._connection.execute(delete(mail_links).where(*nobodys, mail_links.c.digest.in_(theirs)))
        return len(theirs)

    async def _end(self, *conditions: ColumnElement[bool]) -> int:
        ended = await self._connection.execute(update(mail_links).where(*conditions).values(consumed_at=self._now))
        return ended.rowcount

    def _live(self, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
        return (
            mail_links.c.tenant_id == self._tenant_id,
            mail_links.c.purpose == purpose,
            mail_links.c.consumed_at.is_(None),
            mail_links.c.expires_at > self._now,
        )


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, mail_links.c.expires_at, mail_links.c.expires_at < expired_before)

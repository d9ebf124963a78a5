"""Authenticators that show time-based codes (TOTP, RFC 6238): SHA-1, six digits, thirty seconds.

Owns the sealed secrets, and the one conditional statement by which a time step is accepted: once per user, whichever of
the authenticators showed the code (section 5.2). How often somebody may guess is ``throttles``' business, and whether a
code is asked for is decided by ``policies.login``.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pyotp
from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import InvalidValue, NotFound, StoreError
from tenants.people_tables import totp_factors, totp_steps
from tenants.sealing import MasterKeys
from tenants.tables import users

MAX_FACTORS = 10
"""Authenticators of one user. Each of them makes a guessed code likelier to be right."""

_WINDOW = (-1, 0, 1)  # steps around now: clocks drift, and people type (RFC 6238 section 6)
_DIGITS = 6
_LONGEST_TYPED = 32
LONGEST_NAME = 100
_LONGEST_LABEL = 300  # bytes of the issuer's name and of the account's, escaped: a longer URI fits in no QR code

_OF_USER = totp_factors.c.tenant_id == bindparam("p_tenant_id"), totp_factors.c.user_id == bindparam("p_user_id")
_CONFIRMED = *_OF_USER, totp_factors.c.confirmed_at.is_not(None)
_UNCONFIRMED = *_OF_USER, totp_factors.c.confirmed_at.is_(None)
_IS = totp_factors.c.id == bindparam("p_id")
_LIST = select(totp_factors).where(*_CONFIRMED).order_by(totp_factors.c.created_at, totp_factors.c.id)
_ANY = select(totp_factors.c.id).where(*_CONFIRMED).limit(1)
# The user is held as a foreign key holds it: what is written afterwards must not meet a deletion half way.
_LIST_HELD = (
    select(totp_factors)
    .join(users, (users.c.tenant_id == totp_factors.c.tenant_id) & (users.c.id == totp_factors.c.user_id))
    .where(*_CONFIRMED)
    .with_for_update(read=True, key_share=True, of=users)
)
_FIND_UNCONFIRMED = select(totp_factors).where(*_UNCONFIRMED, _IS)
_CONFIRM = update(totp_factors).where(*_UNCONFIRMED, _IS)
_CHANGE = update(totp_factors).where(*_CONFIRMED, _IS)
_REMOVE = delete(totp_factors).where(*_CONFIRMED, _IS)
_REMOVE_ALL = delete(totp_factors).where(*_OF_USER).returning(totp_factors.c.confirmed_at)
_FORGET_UNCONFIRMED = delete(totp_factors).where(*_UNCONFIRMED)
_INSERT = insert(totp_factors)
_HOLD_USER = (
    select(users.c.id)
    .where(users.c.tenant_id == bindparam("p_tenant_id"), users.c.id == bindparam("p_user_id"))
    .with_for_update(key_share=True)
)
_INSERT_STEP: Mapping[str, Any] = {"sqlite": sqlite_insert(totp_steps), "postgresql": postgresql_insert(totp_steps)}
_ACCEPT = {
    dialect: insert_step.on_conflict_do_update(
        index_elements=["tenant_id", "user_id"],
        set_={"step": insert_step.excluded.step},
        where=totp_steps.c.step < insert_step.excluded.step,
    ).returning(totp_steps.c.step)
    for dialect, insert_step in _INSERT_STEP.items()
}


class TooManyFactors(StoreError):
    """The user has as many authenticators as one may have."""

    def __init__(self) -> None:
        super().__init__(f"a user has at most {MAX_FACTORS} authenticators: remove one first")


@dataclass(frozen=True, slots=True)
class Factor:
    """An authenticator. ``confirmed_at`` None: it was never shown to work, and counts for nothing."""

    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    confirmed_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An authenticator that waits for its first code. ``secret`` is base32, ``uri`` says the same for a QR code."""

    factor_id: UUID
    secret: str = field(repr=False)
    uri: str = field(repr=False)


class Factors:
    """One tenant's authenticators."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, master_keys: MasterKeys, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._master_keys = master_keys
        self._now = now

    async def enrol(self, user_id: UUID, *, name: str, issuer_name: str, account: str) -> Enrolment:
        """A new secret of 160 bits. It takes the place of those that the user has not confirmed.

        Raises:
            InvalidValue: the name cannot be one.
            NotFound: no such user in this tenant.
            TooManyFactors: there are as many as there may be.
        """
        name = _checked_name(name)
        if not await self._hold(user_id):
            raise NotFound("user", str(user_id))
        if len(await self.of_user(user_id)) >= MAX_FACTORS:
            raise TooManyFactors
        await self._connection.execute(_FORGET_UNCONFIRMED, self._of(user_id))
        factor_id, secret = uuid4(), pyotp.random_base32()
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "id": factor_id,
                "user_id": user_id,
                "name": name,
                "sealed_secret": self._master_keys.seal(secret.encode(), **self._place(factor_id)),
                "created_at": self._now,
            },
        )
        return Enrolment(factor_id, secret, _uri(secret, issuer_name, account))

    async def enrolment(self, user_id: UUID, factor_id: UUID, *, issuer_name: str, account: str) -> Enrolment | None:
        """What ``enrol`` answered, once more; None where it is confirmed or no more."""
        row = await self._unconfirmed(user_id, factor_id)
        if row is None:
            return None
        secret = self._secret(row)
        return Enrolment(factor_id, secret, _uri(secret, issuer_name, account))

    async def confirm(self, user_id: UUID, factor_id: UUID, code: str, *, name: str | None = None) -> bool:
        """Let it count from now on, if this is a code of it. The code is used up by that: it is no login's any more.

        Raises:
            InvalidValue: the name cannot be one.
        """
        values = {"confirmed_at": self._now} | ({} if name is None else {"name": _checked_name(name)})
        digits = _digits(code)
        if digits is None or not await self._hold(user_id):
            return False
        row = await self._unconfirmed(user_id, factor_id)
        matched = None if row is None else self._match([row], digits)
        if matched is None or not await self._accept(user_id, matched[0]):
            return False
        confirmed = await self._connection.execute(_CONFIRM, self._one(user_id, factor_id) | values)
        return confirmed.rowcount == 1

    async def of_user(self, user_id: UUID) -> Sequence[Factor]:
        """The confirmed ones, oldest first."""
        return [_factor(row) for row in await self._connection.execute(_LIST, self._of(user_id))]

    async def has_any(self, user_id: UUID) -> bool:
        """Whether there is a confirmed one."""
        return (await self._connection.execute(_ANY, self._of(user_id))).first() is not None

    async def redeem(self, user_id: UUID, code: str) -> Factor | None:
        """The confirmed authenticator that shows this code; None for a wrong one, and for one of a step that is not
        later than the last that was accepted.
        """
        digits = _digits(code)
        if digits is None:
            return None
        rows = (await self._connection.execute(_LIST_HELD, self._of(user_id))).all()
        matched = self._match(rows, digits)
        if matched is None or not await self._accept(user_id, matched[0]):
            return None
        factor = _factor(matched[1])
        used = await self._connection.execute(_CHANGE, self._one(user_id, factor.id) | {"last_used_at": self._now})
        return replace(factor, last_used_at=self._now) if used.rowcount == 1 else None  # 0: removed meanwhile

    async def rename(self, user_id: UUID, factor_id: UUID, name: str) -> bool:
        """Name a confirmed one anew. False where there is none.

        Raises:
            InvalidValue: the name cannot be one.
        """
        renamed = await self._connection.execute(_CHANGE, self._one(user_id, factor_id) | {"name": _checked_name(name)})
        return renamed.rowcount == 1

    async def remove(self, user_id: UUID, factor_id: UUID) -> bool:
        """Forget a confirmed one. False where there is none. The last accepted step is kept: no code comes back."""
        removed = await self._connection.execute(_REMOVE, self._one(user_id, factor_id))
        return removed.rowcount == 1

    async def remove_all(self, user_id: UUID) -> int:
        """Forget all of a user's, unconfirmed ones too. Says how many counted."""
        removed = await self._connection.execute(_REMOVE_ALL, self._of(user_id))
        return sum(confirmed_at is not None for confirmed_at in removed.scalars())

    async def _accept(self, user_id: UUID, step: int) -> bool:
        """Use the step up, and all before it. False where it, or a later one, was used before."""
        row = {"tenant_id": self._tenant_id, "user_id": user_id, "step": step}
        accepted = await self._connection.execute(_ACCEPT[self._connection.dialect.name], row)
        return accepted.first() is not None

    async def _hold(self, user_id: UUID) -> bool:
        """Let nobody enrol or confirm for this user beside us, nor delete it. False where there is none."""
        return (await self._connection.execute(_HOLD_USER, self._of(user_id))).first() is not None

    async def _unconfirmed(self, user_id: UUID, factor_id: UUID) -> Row[Any] | None:
        return (await self._connection.execute(_FIND_UNCONFIRMED, self._one(user_id, factor_id))).one_or_none()

    def _of(self, user_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_user_id": user_id}

    def _one(self, user_id: UUID, factor_id: UUID) -> dict[str, Any]:
        return self._of(user_id) | {"p_id": factor_id}

    def _match(self, rows: Iterable[Row[Any]], digits: str) -> tuple[int, Row[Any]] | None:
        """The latest step of which one of these shows this code. All are compared, whatever was found."""
        matched: tuple[int, Row[Any]] | None = None
        for row in rows:
            totp = pyotp.TOTP(self._secret(row))
            now = totp.timecode(self._now)
            for step in (now + offset for offset in _WINDOW):
                same = hmac.compare_digest(totp.generate_otp(step), digits)
                if same and (matched is None or step > matched[0]):
                    matched = step, row
        return matched

    def _secret(self, row: Row[Any]) -> str:
        return self._master_keys.open(row.sealed_secret, **self._place(row.id)).decode()

    def _place(self, factor_id: UUID) -> dict[str, str]:
        tenant = str(self._tenant_id)
        return {"tenant": tenant, "table": "totp_factors", "row": str(factor_id), "column": "sealed_secret"}


def _digits(code: str) -> str | None:
    """The digits as authenticators show them; people type a space in the middle. None for what is no code."""
    if len(code) > _LONGEST_TYPED:
        return None
    code = "".join(code.split())
    return code if len(code) == _DIGITS and code.isascii() and code.isdigit() else None


def _uri(secret: str, issuer_name: str, account: str) -> str:
    return pyotp.TOTP(secret).provisioning_uri(name=_label(account), issuer_name=_label(issuer_name))


def _label(text: str) -> str:
    while len(quote(text)) > _LONGEST_LABEL:
        text = text[:-1]
    return text


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidValue(f"an authenticator's name has 1 to {LONGEST_NAME} printable characters")
    return name


def _factor(row: Row[Any]) -> Factor:
    return Factor(row.id, row.user_id, row.name, row.created_at, row.confirmed_at, row.last_used_at)

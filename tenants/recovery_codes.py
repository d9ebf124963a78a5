"""Recovery codes: what a person without their authenticator logs in with, each good once.

Owns the codes' form, their hashes and the one conditional UPDATE that uses one up. A code has 80 random bits, so that a
plain hash will do; it is bound to its user.
"""

import hashlib
import re
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import NotFound
from tenants.people_tables import recovery_codes
from tenants.tables import users

CODES = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # five bits each; no i, l, o beside 1 and 0
_READ_AS = str.maketrans("ilo", "110")
_LENGTH, _GROUP = 16, 4
_CODE = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_LONGEST_TYPED = 64


class RecoveryCodes:
    """One tenant's recovery codes."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def make(self, user_id: UUID) -> tuple[str, ...]:
        """Ten new codes, shown this once. None that the user had before is good any more.

        Raises:
            NotFound: no such user in this tenant.
        """
        user = select(users.c.id).where(users.c.tenant_id == self._tenant_id, users.c.id == user_id)
        # Held, or two at once would each leave the other's ten.
        if (await self._connection.execute(user.with_for_update(key_share=True))).first() is None:
            raise NotFound("user", str(user_id))
        await self.remove_all(user_id)
        codes = tuple(_new() for _ in range(CODES))
        rows = [
            {
                "tenant_id": self._tenant_id,
                "user_id": user_id,
                "digest": _digest(user_id, code.replace("-", "")),
                "created_at": self._now,
            }
            for code in codes
        ]
        await self._connection.execute(insert(recovery_codes), rows)
        return codes

    async def redeem(self, user_id: UUID, code: str) -> bool:
        """Use a code up. Capitals, spaces and hyphens do not matter; False for any but an unused one of this user's."""
        plain = _normalise(code)
        if plain is None:
            return False
        used = await self._connection.execute(
            update(recovery_codes)
            .where(
                recovery_codes.c.tenant_id == self._tenant_id,
                recovery_codes.c.user_id == user_id,
                recovery_codes.c.digest == _digest(user_id, plain),
                recovery_codes.c.consumed_at.is_(None),
            )
            .values(consumed_at=self._now)
        )
        return used.rowcount == 1

    async def left(self, user_id: UUID) -> int:
        """How many are good still."""
        query = (
            select(func.count())
            .select_from(recovery_codes)
            .where(
                recovery_codes.c.tenant_id == self._tenant_id,
                recovery_codes.c.user_id == user_id,
                recovery_codes.c.consumed_at.is_(None),
            )
        )
        return (await self._connection.execute(query)).scalar_one()

    async def remove_all(self, user_id: UUID) -> None:
        """Forget all of a user's codes."""
        mine = recovery_codes.c.tenant_id == self._tenant_id, recovery_codes.c.user_id == user_id
        await self._connection.execute(delete(recovery_codes).where(*mine))


def _new() -> str:
    signs = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(signs[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def _normalise(code: str) -> str | None:
    """The code's sixteen signs, as they are hashed. None for what is no code."""
    if len(code) > _LONGEST_TYPED or not code.isascii():
        return None
    plain = "".join(code.split()).replace("-", "").lower().translate(_READ_AS)
    return plain if _CODE.fullmatch(plain) else None


def _digest(user_id: UUID, plain: str) -> bytes:
    return hashlib.sha256(f"recovery code:{user_id}:{plain}".encode()).digest()

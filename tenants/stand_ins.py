"""What stands in for the password of a user who does not exist: a scheme in the proportions of the tenant's own.

An attempt on an unknown name must cost what one on a user does, and the same each time. So the scheme is drawn by the
name, under a key that outsiders do not know: who could compute it would see by the clock who exists. Owns the draw and
what a process remembers of the proportions; the query is credentials.py's.
"""

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

_TENANTS = 10_000
_REMEMBERED = timedelta(minutes=10)
_BEING_ASKED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of a tenant's passwords each scheme has."""

    key: bytes = field(repr=False)
    counts: Sequence[tuple[str, int]]

    def drawn(self, name: str) -> str:
        """The scheme of this name; empty where the tenant has no password at all.

        Weighted rendezvous hashing: shares that change a little change it for few names, and only towards the schemes
        that have grown (as users are, who log in and get our own).
        """
        if len(self.counts) < 2:
            return self.counts[0][0] if self.counts else ""
        secret = hmac.digest(self.key, name.encode("utf-8", "surrogatepass"), "sha256")
        return max(self.counts, key=lambda share: _score(secret, *share))[0]

    def tag(self, name: str) -> str:
        """What tells this name from others in an audit log, whose readers learn nothing of it: it may be a password
        that somebody typed in the wrong place.
        """
        return hmac.digest(self.key, b"tag of " + name.encode("utf-8", "surrogatepass"), "sha256")[:8].hex()


def _score(secret: bytes, scheme: str, count: int) -> float:
    drawn = int.from_bytes(hashlib.sha256(secret + scheme.encode()).digest()[:8])
    return count / -math.log((drawn + 0.5) / 2**64)


class StandIns:
    """One process's memory of shares, bounded, ten minutes old at most but while they are being asked for anew."""

    def __init__(self) -> None:
        self._shares: OrderedDict[UUID, tuple[datetime, Shares]] = OrderedDict()

    def find(self, tenant_id: UUID, now: datetime) -> Shares | None:
        """None for who has to ask; meanwhile the others do with what there was, and need not ask as well."""
        found = self._shares.get(tenant_id)
        if found is None:
            return None
        until, shares = found
        if now < until:
            return shares
        self._shares[tenant_id] = (now + _BEING_ASKED, shares)
        return None

    def remember(self, tenant_id: UUID, shares: Shares, now: datetime) -> None:
        """Keep what was found; the tenant that was asked about longest ago is forgotten where there are too many."""
        self._shares[tenant_id] = (now + _REMEMBERED, shares)
        self._shares.move_to_end(tenant_id)
        while len(self._shares) > _TENANTS:
            self._shares.popitem(last=False)

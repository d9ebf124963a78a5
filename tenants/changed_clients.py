"""Which clients have changed since when, as far as this process has heard: so that one change costs one client's rows.

Owns what is remembered of the feed for that. Not the feed (changes.py), not what is read anew (issuers.py).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from uuid import UUID

from tenants.changes import Change, client_in

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in what was heard. Numbers of the feed compare only where nothing was loaded anew between them."""

    load: int
    seq: int


class ChangedClients:
    """Remembers ``most`` changes at most; with more than those, everybody reads everything once."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._here = Mark(0, 0)
        self._whole: dict[UUID, int] = {}
        self._clients: dict[UUID, dict[str, int]] = {}
        self._size = 0  # at least: what changes again counts again

    def mark(self) -> Mark:
        """The present place."""
        return self._here

    def restart(self, seq: int) -> None:
        """Nothing is known of what happened until ``seq``."""
        self._here = Mark(self._here.load + 1, seq)
        self._whole.clear()
        self._clients.clear()
        self._size = 0

    def heard(self, changes: Sequence[Change]) -> None:
        """In their order."""
        for change in changes:
            if change.kind == "tenant":
                self._size += 1
                client_id = client_in(change.ref)
                if client_id is None:
                    self._whole[change.tenant_id] = change.seq
                    self._clients.pop(change.tenant_id, None)
                else:
                    self._clients.setdefault(change.tenant_id, {})[client_id] = change.seq
        if changes:
            self._here = Mark(self._here.load, changes[-1].seq)
        if self._size > self._most:
            self.restart(self._here.seq)

    def after(self, mark: Mark, tenant_id: UUID) -> Set[str] | None:
        """The tenant's clients that changed after ``mark``; None where that is not known, or more may have changed."""
        if mark.load != self._here.load or mark.seq < self._whole.get(tenant_id, 0):
            return None
        return {client_id for client_id, seq in self._clients.get(tenant_id, {}).items() if seq > mark.seq}

"""The web origins that tenants' clients registered, for routes that take their word for who may call from a page."""

from collections.abc import Set
from uuid import UUID

from tenants.snapshot import Snapshot

_NONE: frozenset[str] = frozenset()


class RegisteredOrigins:
    """Reads the snapshot. The union of all tenants' is made anew when something changed and somebody asks."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._union: frozenset[str] = _NONE
        self._version: int | None = None

    def __call__(self, tenant_id: UUID | None) -> Set[str]:
        """Those of a tenant; of all that are active, for a request of which nobody knows whose it is."""
        if tenant_id is not None:
            tenant = self._snapshot.by_id(tenant_id)
            return _NONE if tenant is None else tenant.origins
        if self._version != self._snapshot.version:
            self._version = self._snapshot.version
            self._union = _NONE.union(*(tenant.origins for tenant in self._snapshot.all() if tenant.active))
        return self._union


def nobody(_: UUID | None) -> Set[str]:
    """Where no tenant registers any."""
    return _NONE

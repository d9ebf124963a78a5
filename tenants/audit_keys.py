"""The key that signs the checkpoints of a tenant's audit log: one for as long as there is the log, made when the first
checkpoint is.

Its name is the log's, ``{host}/t/{slug}/audit`` with the host of that time: a log that moves to another host stays the
log that it is, or every key and every checkpoint that auditors hold would be another log's.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.audit_tables import audit_keys
from tenants.sealing import MasterKeys, Unsealable
from tenants.signed_note import SignerKey, VerifierKey

_GET = select(audit_keys).where(audit_keys.c.tenant_id == bindparam("p_tenant_id"))
_INSERT = insert(audit_keys)


class AuditKeys:
    """All tenants' keys; as ``yett_system``. ``host`` is the public URL's, with its port where it has one."""

    def __init__(self, master_keys: MasterKeys, host: str) -> None:
        self._master_keys = master_keys
        self._host = host

    async def signer(self, connection: AsyncConnection, tenant_id: UUID, slug: str, now: datetime) -> SignerKey:
        """The tenant's key; a new one where there is none.

        Raises:
            Unsealable: the master key is another, or the row was altered.
        """
        row = (await connection.execute(_GET, {"p_tenant_id": tenant_id})).one_or_none()
        if row is not None:
            key = SignerKey.from_private(row.name, self._master_keys.open(row.sealed_private, **_place(tenant_id)))
            if key.verifier.public != row.public:
                raise Unsealable("not_authentic", "audit_keys.public belongs to another key: the row was altered")
            return key
        key = SignerKey.generate(f"{self._host}/t/{slug}/audit")
        sealed = self._master_keys.seal(key.private_bytes(), **_place(tenant_id))
        made = {"name": key.verifier.name, "public": key.verifier.public, "sealed_private": sealed}
        await connection.execute(_INSERT, {"tenant_id": tenant_id, **made, "created_at": now})
        return key


async def verifier(connection: AsyncConnection, tenant_id: UUID) -> VerifierKey | None:
    """What verifies the tenant's checkpoints; None before the first one."""
    row = (await connection.execute(_GET, {"p_tenant_id": tenant_id})).one_or_none()
    return None if row is None else VerifierKey(row.name, row.public)


def _place(tenant_id: UUID) -> dict[str, str]:
    return {"tenant": str(tenant_id), "table": "audit_keys", "row": str(tenant_id), "column": "sealed_private"}

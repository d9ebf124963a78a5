"""The step: one transaction for one tenant, opened here and nowhere else (rule 7).

An expected ``Refusal`` commits, since its evidence must last; a validation error or a bug rolls back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from gateway.errors import ClientDeleted, Refusal
from tenants.deleted_parent import is_deleted_client
from tenants.store import Store, TenantStore


@asynccontextmanager
async def step(store: Store, tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
    """A transaction that ends with the block. Never hold it while hashing, calling out or streaming.

    Raises:
        ClientDeleted: a client that was read before, perhaps from memory, is gone: nothing more can be its.
    """
    refusal: Refusal | None = None
    try:
        async with store.for_tenant(tenant_id, read_only=read_only) as tenant_store:
            try:
                yield tenant_store
            except Refusal as expected:
                refusal = expected
    except Exception as error:
        if not is_deleted_client(error):
            raise
        raise ClientDeleted(reason="client_deleted") from error
    if refusal is not None:
        raise refusal

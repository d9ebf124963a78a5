"""The step: one transaction for one tenant, opened here and nowhere else (rule 7).

An expected ``Refusal`` commits, since its evidence must last; a validation error or a bug rolls back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from gateway.errors import Refusal
from tenants.store import Store, TenantStore


@asynccontextmanager
async def step(store: Store, tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
    """A transaction that ends with the block. Never hold it while hashing, calling out or streaming."""
    refusal: Refusal | None = None
    async with store.for_tenant(tenant_id, read_only=read_only) as tenant_store:
        try:
            yield tenant_store
        except Refusal as expected:
            refusal = expected
    if refusal is not None:
        raise refusal

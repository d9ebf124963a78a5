"""Proofs in a tenant's log: looks up the hashes that policies/merkle_proof.py asks for.

A tile is up to 256 neighbours of one kept level: leaves of the log, or nodes of the tree. A proof reads a handful of
them, whatever the log's size, and one that follows mostly the same ones.
"""

from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, select

from policies.merkle import TILE, TILE_LEVELS, folded, root_of
from policies.merkle_proof import Range, block_ranges, consistency_ranges, inclusion_ranges, whole_subtrees
from tenants.audit_tables import audit_nodes
from tenants.audit_tree import LogIncomplete
from tenants.database import Database
from tenants.tables import audit_events

_MOST_TILES = 64  # of 256 hashes: about a megabyte

_LEAVES = (
    select(audit_events.c.leaf)
    .where(
        audit_events.c.tenant_id == bindparam("p_tenant_id"),
        audit_events.c.position >= bindparam("p_begin"),
        audit_events.c.position < bindparam("p_end"),
    )
    .order_by(audit_events.c.position)
)
_NODES = (
    select(audit_nodes.c.hash)
    .where(
        audit_nodes.c.tenant_id == bindparam("p_tenant_id"),
        audit_nodes.c.level == bindparam("p_level"),
        audit_nodes.c.position >= bindparam("p_begin"),
        audit_nodes.c.position < bindparam("p_end"),
    )
    .order_by(audit_nodes.c.position)
)


class AuditProofs:
    """Of one tenant's log as a checkpoint of ``size`` events has it."""

    def __init__(self, database: Database, tenant_id: UUID, size: int) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._size = size
        self._tiles: OrderedDict[tuple[int, int], Sequence[bytes]] = OrderedDict()

    async def inclusion(self, position: int) -> list[bytes]:
        """That the event is in the log.

        Raises:
            ValueError: the log has no such event.
            LogIncomplete: rows of it are missing.
        """
        return await self._hashes(inclusion_ranges(position, self._size))

    async def block(self, number: int) -> list[bytes]:
        """That the block's events are in the log. Raises as ``inclusion``."""
        return await self._hashes(block_ranges(number, self._size))

    async def consistency(self, earlier: int) -> list[bytes]:
        """That the log continues the one that it was with ``earlier`` events. Raises as ``inclusion``."""
        return await self._hashes(consistency_ranges(earlier, self._size))

    async def root(self, size: int) -> bytes:
        """The root that the log had with ``size`` events. Raises as ``inclusion``."""
        return await self._range((0, size))

    async def _hashes(self, ranges: Sequence[Range]) -> list[bytes]:
        return [await self._range(of) for of in ranges]

    async def _range(self, of: Range) -> bytes:
        return folded([await self._subtree(height, position) for height, position in whole_subtrees(*of)])

    async def _subtree(self, height: int, position: int) -> bytes:
        level, rest = divmod(height, TILE_LEVELS)
        first, count = position << rest, 1 << rest
        tile, offset = divmod(first, TILE)
        return root_of((await self._tile(level, tile))[offset : offset + count])

    async def _tile(self, level: int, number: int) -> Sequence[bytes]:
        known = self._tiles.get((level, number))
        if known is not None:
            self._tiles.move_to_end((level, number))
            return known
        begin = number * TILE
        end = min(begin + TILE, self._size >> (level * TILE_LEVELS))
        where = {"p_tenant_id": self._tenant_id, "p_begin": begin, "p_end": end}
        async with self._database.system_snapshot() as connection:
            if level == 0:
                read = await connection.execute(_LEAVES, where)
            else:
                read = await connection.execute(_NODES, where | {"p_level": level})
            tile: Sequence[bytes] = read.scalars().all()
        if len(tile) != end - begin:
            raise LogIncomplete(self._tenant_id, begin << (level * TILE_LEVELS), end << (level * TILE_LEVELS))
        self._tiles[level, number] = tile
        if len(self._tiles) > _MOST_TILES:
            self._tiles.popitem(last=False)
        return tile

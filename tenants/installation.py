"""Whether this master key is the one that this database was sealed under: asked once, before anything is served."""

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from tenants.database import Database
from tenants.sealing import MasterKeys, Unsealable
from tenants.tables import installation

_KNOWN = b"yett"
_PLACE = {"tenant": "", "table": "installation", "row": "1", "column": "master_key_check"}


class WrongMasterKey(Exception):
    """The database was sealed under another master key. Start-up must stop."""


async def check_master_key(database: Database, master_keys: MasterKeys) -> None:
    """Compare the master key with the database's; the first key that a new database meets becomes its own.

    Raises:
        WrongMasterKey: with a sentence that says what to do.
    """
    sealed = await _sealed(database) or await _first(database, master_keys)
    try:
        known = master_keys.open(sealed, **_PLACE)
    except Unsealable as error:
        raise WrongMasterKey(
            "The master key does not belong to this database: what was sealed in it cannot be opened. "
            "Put the right key file in place (master_key_file), or name the database that this key was made for."
        ) from error
    if known != _KNOWN:
        raise WrongMasterKey("The master key check of this database is damaged. Restore the table `installation`.")


async def _sealed(database: Database) -> bytes | None:
    async with database.system_snapshot() as connection:
        return (await connection.execute(select(installation.c.master_key_check))).scalar_one_or_none()


async def _first(database: Database, master_keys: MasterKeys) -> bytes:
    """The check of this key, or of the one that came before it."""
    sealed = master_keys.seal(_KNOWN, **_PLACE)
    try:
        async with database.system_step() as connection:
            await connection.execute(insert(installation).values(id=1, master_key_check=sealed, stand_in_secret=sealed))
    except IntegrityError:
        async with database.system_snapshot() as connection:
            sealed = (await connection.execute(select(installation.c.master_key_check))).scalar_one()
    return sealed

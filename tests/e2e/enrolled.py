"""An authenticator for somebody of an installation, without a browser: what the account page would leave."""

import asyncio
from datetime import UTC, datetime

import pyotp

from tenants.database import Database
from tenants.directory import Directory
from tenants.sealing import MasterKeys
from tenants.store import Store
from tests.e2e.authenticator import Authenticator
from tests.e2e.installation import Installation

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def enrolled(of: Installation, tenant: str, name: str) -> Authenticator:
    """None of its codes of today is used up."""
    return Authenticator(asyncio.run(_enrol(of, tenant, name)), 0)


async def _enrol(of: Installation, slug: str, name: str) -> str:
    url = of.settings.get("YETT_DATABASE_URL", f"sqlite:///{of.data / 'yett.db'}")
    database = Database.open(url, of.settings.get("YETT_DATABASE_SYSTEM_URL"))
    try:
        store = Store(database, MasterKeys.load(of.data / "master.key"), lambda: _LONG_AGO)
        tenant = await Directory(database, store).find(slug)
        assert tenant is not None
        async with store.for_tenant(tenant.id) as mine:
            user = await mine.users.by_name(name)
            assert user is not None
            made = await mine.factors.enrol(user.id, name="Phone", issuer_name=slug, account=name)
            assert await mine.factors.confirm(user.id, made.factor_id, pyotp.TOTP(made.secret).at(_LONG_AGO))
    finally:
        await database.close()
    return made.uri

"""An import that fails leaves nothing, and one that is killed leaves a tenant in which nobody can do anything."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cli.archive_check import Archive, check
from gateway.cli.errors import Refused
from gateway.cli.tenant_import import Begun, bring_in, create
from gateway.installation import Installation, open_installation
from gateway.settings import from_mapping
from tenants import deletion
from tenants.archive_file import ArchiveWriter
from tenants.archive_header import header_of
from tenants.database import postgresql_engine
from tenants.errors import AlreadyExists, InvalidValue
from tenants.keys import NoActiveKey
from tenants.sealing import MasterKeys
from tests.conftest import Clock, DatabaseUrls
from tests.tenants.conftest import an_app, dump

UNTIL_GONE = timedelta(days=1)


@pytest.fixture
async def here(tmp_path: Path, database_urls: DatabaseUrls, clock: Clock) -> AsyncIterator[Installation]:
    MasterKeys.create(tmp_path / "master.key")
    values = {"public_url": "http://localhost:8080", "data_dir": str(tmp_path), "database_url": database_urls.app}
    if database_urls.system is not None:
        values["database_system_url"] = database_urls.system
    async with open_installation(from_mapping(values, source="test"), clock=clock) as installation:
        await installation.platform()
        yield installation


@pytest.fixture
async def superuser(here: Installation, database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    """An engine that no row hides from."""
    if database_urls.admin is None:
        yield here.database.app
        return
    engine = postgresql_engine(database_urls.admin, pool_size=1)
    yield engine
    await engine.dispose()


@pytest.fixture
async def archive(here: Installation, tmp_path: Path) -> Archive:
    """Of a tenant with one user and one client."""
    acme = await here.directory.create(slug="acme", name="Acme", issuer="http://localhost:8080/t/acme", actor="test")
    async with here.store.for_tenant(acme.id) as store:
        await store.users.create("alice")
        await store.clients.create(an_app())
        await store.settings.set_default_client("app")
    path = tmp_path / "acme.jsonl"
    async with here.store.for_tenant(acme.id, at_one_moment=True) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        with path.open("wb") as file:
            writer = ArchiveWriter(file, header_of(tenant, uuid4(), here.clock(), None, None), None)
            async for kind, body in store.archive.lines(None, keys=False):
                writer.add(kind, body)
            writer.end()
    return Archive.of(path, from_stdin=False)


def begun(here: Installation, slug: str = "twin") -> Begun:
    issuer, gone_at = f"http://localhost:8080/t/{slug}", here.clock() + UNTIL_GONE
    return Begun(uuid4(), UUID(int=5), slug, issuer, gone_at, moves=True)


async def test_an_import_makes_the_tenant_with_keys_of_its_own(here: Installation, archive: Archive) -> None:
    await bring_in(here, archive, check(archive), begun(here))
    found = await here.directory.find("twin")
    assert found is not None
    assert (found.id, found.active, found.delete_at, found.default_client_id) == (UUID(int=5), True, None, "app")
    async with here.store.for_tenant(found.id, read_only=True) as store:
        assert [user.name for user in await store.users.list()] == ["alice"]
        assert (await store.keys.signing()).alg == "ES256"


async def test_a_suspended_tenant_stays_suspended(here: Installation, archive: Archive) -> None:
    suspended = replace(archive, tenant=replace(archive.tenant, active=False))
    await bring_in(here, suspended, check(archive), begun(here))
    found = await here.directory.find("twin")
    assert found is not None
    assert (found.active, found.delete_at) == (False, None)


async def test_one_that_fails_leaves_nothing(here: Installation, archive: Archive, superuser: AsyncEngine) -> None:
    checked, before = check(archive), await dump(superuser)
    with pytest.raises(Refused, match="has changed since it was checked"):
        await bring_in(here, archive, replace(checked, digest=b"another"), begun(here))
    after = await dump(superuser)
    assert {name for name in after if after[name] != before[name]} == {"changes", "audit_outbox"}
    told = [row[-1] for row in after["audit_outbox"] if row not in before["audit_outbox"]]
    assert [json.loads(event)["type"] for event in told] == ["tenant.deletion_scheduled", "tenant.deleted"]


async def test_a_file_that_changes_meanwhile_is_not_taken(here: Installation, archive: Archive) -> None:
    checked = check(archive)
    archive.path.write_bytes(archive.path.read_bytes() + b"\n")
    with pytest.raises(Refused, match=r"has changed since it was checked|in order when it was checked"):
        await bring_in(here, archive, checked, begun(here))
    assert await here.directory.find("twin") is None


async def test_of_two_that_want_the_same_slug_one_gets_it(here: Installation, archive: Archive) -> None:
    checked = check(archive)
    await bring_in(here, archive, checked, begun(here))
    with pytest.raises(AlreadyExists):
        await bring_in(here, archive, checked, replace(begun(here), id=UUID(int=6)))
    assert await here.directory.find("twin") is not None


async def test_what_a_killed_import_leaves_can_do_nothing_and_is_deleted(
    here: Installation, archive: Archive, clock: Clock
) -> None:
    left = begun(here)
    await create(here, archive, left)
    found = await here.directory.find("twin")
    assert found is not None
    assert (found.active, found.delete_at) == (False, clock() + UNTIL_GONE)
    async with here.store.for_tenant(left.id, read_only=True) as store:
        with pytest.raises(NoActiveKey):
            await store.keys.signing()
    assert await deletion.due(here.database, clock()) == []
    clock.advance(days=1)
    assert [doomed.slug for doomed in await deletion.due(here.database, clock())] == ["twin"]


async def test_who_resumes_it_meanwhile_ends_the_import(here: Installation, archive: Archive) -> None:
    left, now = begun(here), here.clock()
    await create(here, archive, left)
    await deletion.take_back(here.database, left.id, left.gone_at, active=True, told={}, now=now)
    with pytest.raises(InvalidValue, match="has changed: it cannot be resumed"):
        await deletion.take_back(here.database, left.id, left.gone_at, active=True, told={}, now=now)

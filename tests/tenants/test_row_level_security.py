"""PostgreSQL's second lock: raw SQL under ``yett_app`` and ``yett_system``, and roles that start-up refuses."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tenants import migrate
from tenants.audit_event import Event
from tenants.database import Database, UnsafeRole, postgresql_engine
from tenants.directory import Directory
from tenants.store import Store
from tenants.tables import NOBODYS_TABLES, metadata
from tests.conftest import Clock, DatabaseUrls, administer
from tests.tenants.conftest import LogAndTrees, dump, of_tenant
from tests.tenants.test_isolation import Inhabitants, settle

INSUFFICIENT_PRIVILEGE = "42501"
TREES = {"audit_trees", "audit_nodes", "audit_keys"}
HIDDEN_FROM_APP = {"changes", "audit_outbox", "budgets", "sinks", "sink_positions"} | TREES
OWNED = sorted(set(metadata.tables) - NOBODYS_TABLES)
WRITABLE = sorted(set(OWNED) - {"audit_events", "audit_heads", "budgets", "sinks", "sink_positions"} - TREES)

READ, ADD, REMOVE = "SELECT", "INSERT", "DELETE"
PRIVILEGES = {
    "yett_app": {
        "tenants": {
            READ,
            ADD,
            "UPDATE (active, branding, default_client_id, detections, issuer, lifetimes, name, people, provider)",
        },
        "users": {
            READ,
            ADD,
            REMOVE,
            "UPDATE (active, email, email_key, email_verified, erasing_since, name, name_key)",
        },
        "passwords": {READ, ADD, "UPDATE (changed_at, hash, must_change, scheme, stands_alone, version)"},
        "roles": {READ, ADD, REMOVE, "UPDATE (scopes)"},
        "user_roles": {READ, ADD, REMOVE},
        "user_groups": {READ, ADD, REMOVE, "UPDATE (description)"},
        "group_roles": {READ, ADD, REMOVE},
        "group_members": {READ, ADD, REMOVE},
        "clients": {
            READ,
            ADD,
            REMOVE,
            "UPDATE (active, audiences, auth_method, confidential, default_scopes, grant_types, name, options, origins,"
            " redirect_uris, registration_digest, scopes)",
        },
        "client_secrets": {READ, ADD, "UPDATE (expires_at)"},
        "sessions": {READ, ADD, "UPDATE (acr, amr, auth_time, digest, ended_at, seen_at)"},
        "refresh_families": {READ, ADD, "UPDATE (revoked_at)"},
        "refresh_tokens": {READ, ADD, "UPDATE (consumed_at, sealed_successor, successor_digest)"},
        "revocations": {READ, ADD, "UPDATE (before, expires_at)"},
        "signing_keys": {
            READ,
            ADD,
            "UPDATE (activated_at, ended_at, promote_at, retiring_at, sealed_private, state)",
        },
        "totp_factors": {READ, ADD, REMOVE, "UPDATE (confirmed_at, last_used_at, name)"},
        "totp_steps": {READ, ADD, "UPDATE (step)"},
        "recovery_codes": {READ, ADD, REMOVE, "UPDATE (consumed_at)"},
        "devices": {
            READ,
            ADD,
            REMOVE,
            "UPDATE (address, digest, expires_at, seen_at, trusted_until, user_agent)",
        },
        "known_networks": {READ, ADD, "UPDATE (succeeded_at)"},
        "throttles": {READ, ADD, REMOVE, "UPDATE (failures, last_at)"},
        "logins": {READ, ADD, "UPDATE (consumed_at, failures)"},
        "mail_links": {READ, ADD, REMOVE, "UPDATE (consumed_at)"},
        "mail_outbox": {READ, ADD, REMOVE, "UPDATE (attempts, next_at)"},
        "logos": {READ, ADD, REMOVE, "UPDATE (changed_at, image, media_type)"},
        "user_imports": {READ, ADD, "UPDATE (finished_at, undone_at, written)"},
        "authorization_requests": {READ, ADD, "UPDATE (consumed_at)"},
        "begun_requests": {READ, ADD, "UPDATE (consumed_at)"},
        "authorization_codes": {READ, ADD, "UPDATE (consumed_at, family_id, token_id)"},
        "device_codes": {
            READ,
            ADD,
            "UPDATE (approved_at, consumed_at, denied_at, interval, polled_at, scopes, session_id)",
        },
        "consents": {READ, ADD, REMOVE, "UPDATE (granted_at, scopes)"},
        "seen_ids": {READ, ADD},
        "registration_tokens": {READ, ADD, REMOVE, "UPDATE (uses_left)"},
        "session_clients": {READ, ADD},
        "logout_notices": {READ, ADD, REMOVE, "UPDATE (attempts, next_at)"},
        "former_issuers": {READ, ADD, "UPDATE (until)"},
        "api_keys": {READ, ADD, REMOVE, "UPDATE (revoked_at)"},
        "idempotency_keys": {READ, ADD, REMOVE},
        "changes": {ADD},
        "audit_outbox": {ADD},
        "audit_heads": {READ},
        "audit_events": {READ},
        "audit_watches": {READ, ADD, "UPDATE (position, state)"},
        "user_countries": {READ, ADD},
        "installation": {READ},
        "alembic_version": {READ},
        "changes_seq_seq": {"USAGE"},
        "audit_outbox_seq_seq": {"USAGE"},
    },
    "yett_system": {
        "tenants": {READ, REMOVE, "UPDATE (audit_retention)"},
        "users": {"SELECT (erasing_since, id, tenant_id)"},
        "clients": {"SELECT (active, client_id, origins, redirect_uris, tenant_id)"},
        "signing_keys": {
            "SELECT (activated_at, kid, promote_at, public_jwk, retiring_at, sealed_private, state, tenant_id)",
            "UPDATE (sealed_private)",
        },
        "totp_factors": {"SELECT (id, sealed_secret, tenant_id)", "UPDATE (sealed_secret)"},
        "sessions": {READ, REMOVE},
        "refresh_families": {READ, REMOVE},
        "refresh_tokens": {
            "SELECT (consumed_at, digest, family_id, issued_at, sealed_successor, tenant_id)",
            REMOVE,
            "UPDATE (sealed_successor)",
        },
        "revocations": {READ, REMOVE},
        "known_networks": {"SELECT (succeeded_at, tenant_id)", REMOVE},
        "throttles": {"SELECT (kind, last_at, tenant_id)", REMOVE},
        "devices": {"SELECT (expires_at, tenant_id)", REMOVE},
        "logins": {"SELECT (expires_at, tenant_id)", REMOVE},
        "mail_links": {"SELECT (expires_at, tenant_id)", REMOVE},
        "mail_outbox": {
            "SELECT (created_at, id, next_at, sealed_fields, tenant_id)",
            REMOVE,
            "UPDATE (sealed_fields)",
        },
        "authorization_requests": {"SELECT (expires_at, tenant_id)", REMOVE},
        "begun_requests": {"SELECT (expires_at, tenant_id)", REMOVE},
        "authorization_codes": {"SELECT (expires_at, tenant_id)", REMOVE},
        "device_codes": {"SELECT (expires_at, tenant_id)", REMOVE},
        "seen_ids": {"SELECT (expires_at, tenant_id)", REMOVE},
        "registration_tokens": {"SELECT (expires_at, tenant_id)", REMOVE},
        "logout_notices": {"SELECT (client_id, created_at, id, next_at, tenant_id)", REMOVE},
        "former_issuers": {READ},
        "idempotency_keys": {
            "SELECT (digest, expires_at, sealed_answer, tenant_id)",
            REMOVE,
            "UPDATE (sealed_answer)",
        },
        "api_keys": {
            "SELECT (audiences, created_at, digest, expires_at, id, last_used_at, revoked_at, scopes, tenant_id)",
            REMOVE,
            "UPDATE (last_used_at)",
        },
        "changes": {READ, ADD, REMOVE},
        "audit_outbox": {READ, ADD, REMOVE},
        "audit_heads": {READ, ADD, "UPDATE"},
        "audit_events": {READ, ADD, "UPDATE (event, salt, subject)"},
        "audit_trees": {READ, ADD, "UPDATE (checkpoint, edge, erased, signed_at, size)"},
        "audit_nodes": {READ, ADD},
        "audit_keys": {READ, ADD, "UPDATE (sealed_private)"},
        "audit_watches": {"SELECT (position, tenant_id)"},
        "sinks": {READ, ADD, "UPDATE"},
        "sink_positions": {READ, ADD, "UPDATE"},
        "installation": {READ, ADD, "UPDATE (master_key_check, stand_in_secret)"},
        "serving": {READ, ADD, "UPDATE", REMOVE},
        "turns": {READ, ADD, "UPDATE"},
        "job_runs": {READ, ADD, "UPDATE"},
        "budgets": {READ, ADD, "UPDATE", REMOVE},
        "schema_support": {READ},
        "alembic_version": {READ},
        "changes_seq_seq": {"USAGE"},
        "audit_outbox_seq_seq": {"USAGE"},
        "audit_heads_moved_seq": {"USAGE"},
    },
}
"""Everything that anybody but the owner may do. What is not used is not granted."""
_GRANTED = """
SELECT coalesce(r.rolname, 'PUBLIC') AS role, c.relname AS relation, a.privilege_type AS privilege, a.is_grantable,
       a.attname AS column
  FROM pg_class c
  CROSS JOIN LATERAL (
       SELECT NULL AS attname, x.* FROM aclexplode(c.relacl) x
       UNION ALL
       SELECT t.attname, x.* FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid
  ) a
  LEFT JOIN pg_roles r ON r.oid = a.grantee
 WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
 ORDER BY 1, 2, 3, 5"""


pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)  # SQLite has no roles


@pytest.fixture
async def homes(
    database: Database, directory: Directory, store: Store, clock: Clock, log_and_trees: LogAndTrees
) -> tuple[Inhabitants, Inhabitants]:
    first, second = await settle(directory, store, clock, 1), await settle(directory, store, clock, 2)
    await log_and_trees()
    for home in (first, second):  # something in the outbox again
        async with store.for_tenant(home.tenant_id) as mine:
            await mine.audit.add(Event(type="test", outcome="notice"))
    return first, second


@asynccontextmanager
async def as_tenant(engine: AsyncEngine, tenant: str | None) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection, connection.begin():
        if tenant is not None:
            await connection.execute(text("SELECT set_config('yett.tenant', :tenant, true)"), {"tenant": tenant})
        yield connection


async def rows(engine: AsyncEngine, tenant: str | None, table: str) -> list[Any]:
    async with as_tenant(engine, tenant) as connection:
        return list(await connection.execute(text(f"SELECT * FROM {table}")))


async def refusal(engine: AsyncEngine, tenant: str | None, statement: str, **values: Any) -> str:
    """The refusal's text; a statement that is allowed fails the test."""
    with pytest.raises(DBAPIError) as error:
        async with as_tenant(engine, tenant) as connection:
            await connection.execute(text(statement), values)
    assert getattr(error.value.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE, error.value
    return str(error.value.orig)


async def test_raw_sql_without_a_tenant_returns_nothing(
    database: Database, homes: tuple[Inhabitants, Inhabitants]
) -> None:
    pooled = postgresql_engine(database.app.url.render_as_string(hide_password=False), pool_size=1)
    try:
        for round_ in ("before the setting was ever made", "with the '' that a pooled connection keeps"):
            for table in OWNED:
                if table in HIDDEN_FROM_APP:
                    assert "permission denied" in await refusal(pooled, None, f"SELECT * FROM {table}")
                else:
                    assert await rows(pooled, None, table) == [], (table, round_)
            async with as_tenant(pooled, str(homes[0].tenant_id)):
                pass
        async with as_tenant(pooled, None) as connection:
            assert (await connection.execute(text("SELECT current_setting('yett.tenant', true)"))).scalar_one() == ""
    finally:
        await pooled.dispose()


@pytest.mark.parametrize("tenant", ["", "00000000-0000-0000-0000-000000000000"])
async def test_raw_sql_for_nobody_returns_nothing(
    database: Database, homes: tuple[Inhabitants, Inhabitants], tenant: str
) -> None:
    for table in set(OWNED) - HIDDEN_FROM_APP:
        assert await rows(database.app, tenant, table) == [], table


async def test_raw_sql_for_a_tenant_returns_its_rows_only(
    database: Database, homes: tuple[Inhabitants, Inhabitants], superuser: AsyncEngine
) -> None:
    me, _ = homes
    there = of_tenant(await dump(superuser), me.tenant_id)
    for table in set(OWNED) - HIDDEN_FROM_APP:
        found = await rows(database.app, str(me.tenant_id), table)
        owner = "id" if table == "tenants" else "tenant_id"
        assert {getattr(row, owner) for row in found} == {me.tenant_id}, table
        assert len(found) == len(there[table]), table


async def test_a_row_cannot_be_written_into_another_tenant(
    database: Database, homes: tuple[Inhabitants, Inhabitants], superuser: AsyncEngine
) -> None:
    me, other = homes
    for name in WRITABLE:
        table = metadata.tables[name]
        owner = "id" if name == "tenants" else "tenant_id"
        async with superuser.connect() as connection:
            mine = (await connection.execute(table.select().where(table.c[owner] == me.tenant_id))).first()
        assert mine is not None, name
        copy = table.insert().inline().values({**mine._mapping, owner: other.tenant_id})
        with pytest.raises(DBAPIError) as error:
            async with as_tenant(database.app, str(me.tenant_id)) as connection:
                await connection.execute(copy)
        assert "row-level security" in str(error.value.orig), name
        # No row can be moved: by the policy, or since there is no right to update at all.
        await refusal(database.app, str(me.tenant_id), f"UPDATE {name} SET {owner} = :other", other=other.tenant_id)


def updatable(table: str) -> list[str]:
    """The columns that the application may change."""
    told = [privilege for privilege in PRIVILEGES["yett_app"][table] if privilege.startswith("UPDATE (")]
    return told[0].removeprefix("UPDATE (").rstrip(")").split(", ") if told else []


async def test_another_tenants_rows_cannot_be_updated_or_deleted(
    database: Database, homes: tuple[Inhabitants, Inhabitants], superuser: AsyncEngine
) -> None:
    me, other = homes
    before = await dump(superuser)
    for name in set(WRITABLE) - HIDDEN_FROM_APP:
        owner = "id" if name == "tenants" else "tenant_id"
        for column in updatable(name):
            async with as_tenant(database.app, str(me.tenant_id)) as connection:
                touch = text(f"UPDATE {name} SET {column} = {column} WHERE {owner} = :other")
                assert (await connection.execute(touch, {"other": other.tenant_id})).rowcount == 0, name
        if REMOVE in PRIVILEGES["yett_app"][name]:
            async with as_tenant(database.app, str(me.tenant_id)) as connection:
                await connection.execute(text(f"DELETE FROM {name}"))
    assert of_tenant(await dump(superuser), other.tenant_id) == of_tenant(before, other.tenant_id)


FORBIDDEN_TO_APP = [
    "SELECT name FROM audit_keys",
    "INSERT INTO audit_nodes SELECT * FROM audit_nodes",
    "UPDATE audit_trees SET size = 0",
    "INSERT INTO audit_events SELECT * FROM audit_events",
    "UPDATE audit_events SET event = NULL",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "UPDATE audit_heads SET size = 0",
    "DELETE FROM audit_heads",
    "SELECT * FROM audit_outbox",
    "UPDATE audit_outbox SET event = ''",
    "DELETE FROM audit_outbox",
    "SELECT * FROM changes",
    "SELECT * FROM sinks",
    "UPDATE sink_positions SET next = 0",
    "DELETE FROM sink_positions",
    "DELETE FROM changes",
    "UPDATE changes SET kind = ''",
    "UPDATE installation SET master_key_check = ''",
    "SELECT * FROM serving",
    "SELECT * FROM turns",
    "SELECT * FROM job_runs",
    "INSERT INTO budgets SELECT id, '', 0, 0 FROM tenants",
    "DELETE FROM tenants",
    "UPDATE tenants SET delete_at = now()",
    "UPDATE tenants SET deletion_began_at = now()",
    "UPDATE tenants SET audit_retention = 86400",
    "SELECT order_deletion(id, now(), now()) FROM tenants",
    "SELECT take_back_deletion(id, now(), true, now()) FROM tenants",
    "SELECT begin_deletion(id, now()) FROM tenants",
    "SELECT delete_events(id, 0, 9) FROM tenants",
    "SELECT delete_rows(id, 'audit_events', 9) FROM tenants",
    "UPDATE former_issuers SET issuer = 'https://elsewhere.example'",
    "DELETE FROM former_issuers",
    "UPDATE tenants SET slug = 'elsewhere'",
    "DELETE FROM signing_keys",
    "UPDATE signing_keys SET public_jwk = '{}'",
    "DELETE FROM passwords",
    "UPDATE users SET import_id = NULL",
    "UPDATE mail_links SET purpose = 'reset'",
    "UPDATE mail_links SET expires_at = now()",
    "UPDATE logins SET user_id = id",
    "UPDATE logins SET password_version = 1",
    "UPDATE totp_factors SET sealed_secret = ''",
    "UPDATE recovery_codes SET digest = ''",
    "UPDATE devices SET user_id = id",
    "UPDATE clients SET client_id = 'another'",
    "UPDATE authorization_requests SET parameters = '{}'",
    "UPDATE authorization_codes SET scopes = '[]'",
    "UPDATE authorization_codes SET redirect_uri = ''",
    "UPDATE authorization_codes SET expires_at = now()",
    "DELETE FROM authorization_codes",
    "UPDATE begun_requests SET parameters = '{}'",
    "UPDATE begun_requests SET created_at = now()",
    "UPDATE device_codes SET audiences = '[]'",
    "UPDATE device_codes SET expires_at = now()",
    "DELETE FROM seen_ids",
    "UPDATE seen_ids SET expires_at = now()",
    "DELETE FROM session_clients",
    "DELETE FROM revocations",
    "DELETE FROM sessions",
    "UPDATE sessions SET expires_at = now()",
    "UPDATE refresh_families SET scopes = '[]'",
    "UPDATE refresh_families SET dpop_jkt = ''",
    "UPDATE consents SET audience = ''",
    "UPDATE roles SET name = 'admin'",
    "UPDATE idempotency_keys SET request = ''",
    "UPDATE api_keys SET scopes = '[]'",
    "UPDATE api_keys SET digest = ''",
    "UPDATE api_keys SET expires_at = NULL",
    "UPDATE user_roles SET role = 'admin'",
    "DELETE FROM alembic_version",
    "SET ROLE yett_system",
    "SET ROLE yett_owner",
    "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
    "DROP POLICY tenant ON users",
    "CREATE TABLE mine (id int)",
    "SELECT setval('changes_seq_seq', 1)",
]


async def test_the_application_has_no_right_to_the_log_the_feed_and_the_schema(
    database: Database, homes: tuple[Inhabitants, Inhabitants]
) -> None:
    for statement in FORBIDDEN_TO_APP:
        await refusal(database.app, str(homes[0].tenant_id), statement)


FORBIDDEN_TO_SYSTEM = [
    "SELECT * FROM signing_keys",
    "DELETE FROM totp_factors",
    "UPDATE totp_factors SET confirmed_at = now()",
    "SELECT * FROM totp_factors",
    "SELECT hash FROM passwords",
    "SELECT name FROM users",
    "UPDATE mail_outbox SET next_at = now()",
    "SELECT digest FROM recovery_codes",
    "SELECT digest FROM mail_links",
    "SELECT * FROM mail_outbox",
    "SELECT subject FROM throttles",
    "UPDATE throttles SET failures = 0",
    "SELECT digest FROM client_secrets",
    "SELECT * FROM refresh_tokens",
    "SELECT digest FROM authorization_codes",
    "SELECT parameters FROM authorization_requests",
    "SELECT parameters FROM begun_requests",
    "SELECT user_code_digest FROM device_codes",
    "SELECT * FROM consents",
    "SELECT digest FROM registration_tokens",
    "SELECT subject FROM logout_notices",
    "SELECT name FROM api_keys",
    "UPDATE api_keys SET revoked_at = NULL",
    "INSERT INTO api_keys SELECT * FROM api_keys",
    "UPDATE tenants SET active = true",
    "UPDATE tenants SET delete_at = NULL",
    "UPDATE tenants SET deletion_began_at = NULL",
    "UPDATE signing_keys SET state = 'active'",
    "UPDATE refresh_tokens SET consumed_at = NULL",
    "UPDATE audit_events SET leaf = ''",
    "UPDATE audit_events SET position = position + 1",
    "DELETE FROM audit_events",
    "DELETE FROM audit_heads",
    "DELETE FROM audit_trees",
    "UPDATE audit_nodes SET hash = ''",
    "DELETE FROM audit_nodes",
    "UPDATE audit_keys SET public = ''",
    "DELETE FROM audit_keys",
    "INSERT INTO revocations SELECT * FROM revocations",
    "UPDATE changes SET kind = ''",
    "UPDATE installation SET id = 1",
    "SET ROLE yett_owner",
    "CREATE TABLE mine (id int)",
]


async def test_the_cluster_has_no_right_to_secrets_nor_to_change_what_is_not_its_own(database: Database) -> None:
    for statement in FORBIDDEN_TO_SYSTEM:
        await refusal(database.system, None, statement)


async def test_what_deletes_a_tenant_touches_none_that_stays(
    database: Database, homes: tuple[Inhabitants, Inhabitants], superuser: AsyncEngine
) -> None:
    me, _ = homes
    before = of_tenant(await dump(superuser), me.tenant_id)
    async with database.system_step() as connection:
        for call in ("begin_deletion(:id, now())", "delete_events(:id, 0, 99)", "delete_rows(:id, 'users', 99)"):
            await connection.execute(text(f"SELECT {call}"), {"id": me.tenant_id})
    assert of_tenant(await dump(superuser), me.tenant_id) == before


async def test_each_role_has_exactly_the_privileges_of_the_table(superuser: AsyncEngine) -> None:
    columns: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    async with superuser.connect() as connection:
        for row in await connection.execute(text(_GRANTED)):
            assert not row.is_grantable, row
            columns[row.role, row.relation, row.privilege] += [] if row.column is None else [row.column]
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (role_, relation, privilege), of in columns.items():
        found[role_][relation].add(f"{privilege} ({', '.join(of)})" if of else privilege)
    assert found == PRIVILEGES


async def test_the_owner_is_bound_by_row_level_security_too(
    database_urls: DatabaseUrls, homes: tuple[Inhabitants, Inhabitants]
) -> None:
    assert database_urls.owner is not None
    owner = postgresql_engine(database_urls.owner, pool_size=1)
    try:
        for table in OWNED:
            assert await rows(owner, None, table) == [], table
    finally:
        await owner.dispose()


# --- start-up


@asynccontextmanager
async def role(admin_url: str, *statements: str) -> AsyncIterator[str]:
    """A login role with a name of its own, for as long as the block lasts."""
    name = f"yett_test_{uuid4().hex}"
    await administer(admin_url, f"CREATE ROLE {name} LOGIN", *(statement.format(name=name) for statement in statements))
    try:
        yield make_url(admin_url).set(username=name, password=None).render_as_string(hide_password=False)
    finally:
        await administer(
            admin_url, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}"
        )


async def check(app: str, system: str | None) -> None:
    database = Database.open(app, system, pool_size=1)
    try:
        await database.check_roles()
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (("ALTER ROLE {name} SUPERUSER",), "is a superuser"),
        (("ALTER ROLE {name} BYPASSRLS",), "has BYPASSRLS"),
        (("CREATE TABLE IF NOT EXISTS its_own (id int)", "ALTER TABLE its_own OWNER TO {name}"), "owns tables"),
        ((f"GRANT {migrate.OWNER_ROLE} TO {{name}}",), "owns tables"),
        ((f"GRANT {migrate.SYSTEM_ROLE} TO {{name}}",), "is a member of a role that escapes it"),
    ],
)
async def test_a_role_that_escapes_row_level_security_is_refused(
    database_urls: DatabaseUrls, statements: tuple[str, ...], fault: str
) -> None:
    assert database_urls.admin is not None
    async with role(database_urls.admin, *statements) as url:
        with pytest.raises(UnsafeRole, match=rf"database_url.* {fault}.*yett migrate --create-roles"):
            await check(url, database_urls.system)


async def test_a_plain_role_is_accepted(database_urls: DatabaseUrls) -> None:
    assert database_urls.admin is not None
    async with role(database_urls.admin) as url:
        await check(url, database_urls.system)


async def test_a_system_role_that_would_see_no_tenant_is_refused(database_urls: DatabaseUrls) -> None:
    with pytest.raises(UnsafeRole, match="database_system_url stands under row-level security"):
        await check(database_urls.app, database_urls.app)


async def test_the_three_roles_as_they_are_made_pass(database: Database) -> None:
    await database.check_roles()

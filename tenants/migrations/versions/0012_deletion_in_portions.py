"""A tenant is deleted in portions, and only yett_system orders that a log goes, whole or by its age."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_COLUMN = "ADD COLUMN audit_retention BIGINT CONSTRAINT ck_tenants_audit_retention CHECK (audit_retention >= 86400)"
# From a day to ten years of 366 days. What is stored and is no retention is dropped: such a log is kept for ever.
_MOVE = {
    "postgresql": (
        "ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY",
        "UPDATE tenants SET audit_retention = (lifetimes ->> 'audit_events')::bigint"
        " WHERE CASE WHEN lifetimes ->> 'audit_events' ~ '^[0-9]{5,9}$'"
        " THEN (lifetimes ->> 'audit_events')::bigint BETWEEN 86400 AND 316224000 ELSE false END",
        "UPDATE tenants SET lifetimes = lifetimes - 'audit_events' WHERE lifetimes -> 'audit_events' IS NOT NULL",
        "ALTER TABLE tenants FORCE ROW LEVEL SECURITY",
    ),
    "sqlite": (
        "UPDATE tenants SET audit_retention = json_extract(lifetimes, '$.audit_events')"
        " WHERE json_type(lifetimes, '$.audit_events') = 'integer'"
        " AND json_extract(lifetimes, '$.audit_events') BETWEEN 86400 AND 316224000",
        "UPDATE tenants SET lifetimes = json_remove(lifetimes, '$.audit_events')"
        " WHERE json_type(lifetimes, '$.audit_events') IS NOT NULL",
    ),
}
# They run as yett_owner, whom row-level security binds as well, to the one tenant. So yett_system needs no right to
# change a tenant or to delete from any of the tables, and what has begun nobody can take back.
_AS_OWNER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"
_FUNCTIONS = {
    "order_deletion(doomed uuid, at timestamptz, asked timestamptz)": """RETURNS boolean AS $$
BEGIN
    PERFORM set_config('yett.tenant', doomed::text, true);
    UPDATE public.tenants SET active = false, delete_at = at
     WHERE id = doomed AND deletion_began_at IS NULL AND (delete_at IS NULL OR delete_at > asked);
    RETURN FOUND;
END $$""",
    "take_back_deletion(doomed uuid, ordered timestamptz, resumed boolean, asked timestamptz)": """RETURNS boolean AS $$
BEGIN
    PERFORM set_config('yett.tenant', doomed::text, true);
    UPDATE public.tenants SET active = resumed, delete_at = NULL
     WHERE id = doomed AND deletion_began_at IS NULL AND delete_at = ordered AND delete_at > asked;
    RETURN FOUND;
END $$""",
    "begin_deletion(doomed uuid, at timestamptz)": """RETURNS boolean AS $$
BEGIN
    PERFORM set_config('yett.tenant', doomed::text, true);
    UPDATE public.tenants SET active = false, deletion_began_at = at
     WHERE id = doomed AND deletion_began_at IS NULL AND delete_at <= at;
    RETURN FOUND;
END $$""",
    "delete_events(doomed uuid, first bigint, past bigint)": """RETURNS void AS $$
BEGIN
    PERFORM set_config('yett.tenant', doomed::text, true);
    IF EXISTS (SELECT FROM public.tenants WHERE id = doomed AND deletion_began_at IS NOT NULL) THEN
        DELETE FROM public.audit_events WHERE tenant_id = doomed AND position >= first AND position < past;
    END IF;
END $$""",
    "delete_rows(doomed uuid, of_table text, most integer)": """RETURNS integer AS $$
DECLARE gone integer := 0;
BEGIN
    PERFORM set_config('yett.tenant', doomed::text, true);
    IF EXISTS (SELECT FROM public.tenants WHERE id = doomed AND deletion_began_at IS NOT NULL) THEN
        EXECUTE format('DELETE FROM public.%1$I WHERE ctid = ANY (ARRAY('
            'SELECT ctid FROM public.%1$I WHERE tenant_id = $1 LIMIT $2))', of_table) USING doomed, most;
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    RETURN gone;
END $$""",
}


def upgrade() -> None:
    """Add what is new, move what is known, and take from yett_app what it may not order any more."""
    op.execute(f"ALTER TABLE tenants {_COLUMN}")
    op.add_column("tenants", sa.Column("deletion_began_at", sa.DateTime(timezone=True), nullable=True))
    dialect = op.get_bind().dialect.name
    for statement in _MOVE[dialect]:
        op.execute(statement)
    if dialect == "postgresql":
        for name, body in _FUNCTIONS.items():
            op.execute(f"CREATE FUNCTION {name} {body} {_AS_OWNER}")
            op.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
            op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO yett_system")
        op.execute("REVOKE UPDATE (delete_at) ON tenants FROM yett_app")
        op.execute("GRANT UPDATE (audit_retention) ON tenants TO yett_system")
        op.execute("GRANT DELETE ON mail_links TO yett_app")  # those that went to somebody who is erased
        op.execute("GRANT SELECT (family_id, issued_at), DELETE ON refresh_tokens TO yett_system")  # pruned in portions


def downgrade() -> None:
    """A tenant of which half is gone would live again: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")

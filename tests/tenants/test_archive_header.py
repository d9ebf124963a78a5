"""What a tenant has in its own row goes along when it moves, or is named here as what stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from policies.sightings import Rule
from tenants.archive_header import NewTenant, header_of
from tenants.detection_policy import DetectionPolicy
from tenants.lifetimes import Lifetimes
from tenants.tables import tenants
from tenants.tenant import Tenant

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ACME = Tenant(UUID(int=1), "acme", "Acme", "https://auth.example.com/t/acme", True, "ES256", None, AT)
UNDER_ANOTHER_NAME = {"default_client_id": "default_client", "audit_retention": "lifetimes"}
STAY = {"created_at", "delete_at", "deletion_began_at"}


def test_every_column_goes_along_or_stays_on_purpose() -> None:
    head = header_of(ACME, UUID(int=2), AT, None, None)["tenant"]
    columns = {UNDER_ANOTHER_NAME.get(column.name, column.name) for column in tenants.columns} - STAY
    assert columns == set(head)


def test_settings_are_read_as_they_were_written() -> None:
    tenant = replace(
        ACME,
        lifetimes=Lifetimes(audit_events=timedelta(days=90), code=timedelta(seconds=30)),
        detections=DetectionPolicy().changed({"new_device": None, "steps_out_of_order": Rule(9, timedelta(hours=2))}),
    )
    read = NewTenant.read({**header_of(tenant, UUID(int=2), AT, None, None), "version": 1}, version="version")
    assert (read.detections, Lifetimes.from_seconds(read.lifetimes)) == (tenant.detections, tenant.lifetimes)

"""Which rules ask less than before: those alone, and in both directions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from policies.sightings import Rule
from tenants.detection_policy import DetectionPolicy
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.tenant import Tenant
from tenants.weakened import weakened

TENANT = Tenant(
    UUID(int=1), "acme", "Acme", "https://a.example", True, "ES256", None, datetime(2026, 11, 25, tzinfo=UTC)
)
DAY = timedelta(days=1)


def with_people(**values: Any) -> Tenant:
    return replace(TENANT, people=PeoplePolicy(**values))


def with_provider(**values: Any) -> Tenant:
    return replace(TENANT, provider=ProviderPolicy(**values))


@pytest.mark.parametrize(
    ("strict", "mild", "names"),
    [
        (with_people(otp="required"), with_people(otp="optional"), ["otp"]),
        (with_people(otp="optional"), with_people(otp="off"), ["otp"]),
        (with_people(otp_roles=("a", "b")), with_people(otp_roles=("a",)), ["otp_roles"]),
        (with_people(), with_people(otp_grace=DAY), ["otp_grace"]),
        (with_people(), with_people(trusted_devices=True, sign_up=True), ["sign_up", "trusted_devices"]),
        (with_people(), with_people(password_min_length=12), ["password_min_length"]),
        (with_people(password_min_length=20), with_people(), ["password_min_length"]),
        (with_provider(require_pushed=True), with_provider(), ["require_pushed"]),
        (with_provider(), with_provider(registration=True), ["registration"]),
        (
            TENANT,
            replace(TENANT, detections=DetectionPolicy({"new_device": None, "new_country": Rule(9, DAY)})),
            ["detections.new_device"],
        ),
    ],
)
def test_what_asks_less_is_named_and_what_asks_more_is_not(strict: Tenant, mild: Tenant, names: list[str]) -> None:
    assert weakened(strict, mild) == names
    assert weakened(mild, strict) == []
    assert weakened(strict, strict) == []


def test_roles_that_need_no_naming_are_not_missed() -> None:
    assert weakened(with_people(otp_roles=("a",)), with_people(otp="required")) == []

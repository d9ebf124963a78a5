"""Which of a tenant's rules ask less than they did: what an administrator changed, and what whoever took over an
administrator's account would change first.
"""

from collections.abc import Iterator
from typing import Final

from policies.detection import KINDS, Kind
from policies.password import LEAST_ALONE
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.tenant import Tenant

_OTP: Final = ("off", "optional", "required")


def weakened(before: Tenant, after: Tenant) -> list[str]:
    """Their names, those of settings; of a detection that is off now, with its kind behind it."""
    kinds = (f"detections.{kind}" for kind in KINDS if _switched_off(before, after, kind))
    return sorted([*_people(before.people, after.people), *_provider(before.provider, after.provider), *kinds])


def _people(before: PeoplePolicy, after: PeoplePolicy) -> Iterator[str]:
    if _OTP.index(after.otp) < _OTP.index(before.otp):
        yield "otp"
    if after.otp != "required" and not set(before.otp_roles) <= set(after.otp_roles):
        yield "otp_roles"
    if after.otp_grace > before.otp_grace:
        yield "otp_grace"
    if after.trusted_devices and not before.trusted_devices:
        yield "trusted_devices"
    if (after.password_min_length or LEAST_ALONE) < (before.password_min_length or LEAST_ALONE):
        yield "password_min_length"
    if after.sign_up and not before.sign_up:
        yield "sign_up"


def _provider(before: ProviderPolicy, after: ProviderPolicy) -> Iterator[str]:
    if after.registration and not before.registration:
        yield "registration"
    if before.require_pushed and not after.require_pushed:
        yield "require_pushed"


def _switched_off(before: Tenant, after: Tenant, kind: Kind) -> bool:
    return after.detections.rule_for(kind) is None and before.detections.rule_for(kind) is not None

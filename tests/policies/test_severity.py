"""What calls for attention, and how much."""

from typing import Any

import pytest

from policies.severity import STOLEN, administrative, severity_of


@pytest.mark.parametrize(
    ("type_", "reason", "details", "severity"),
    [
        ("login.succeeded", None, {"new_device": True}, None),
        ("login.refused", "wrong_password", {}, None),
        ("login.alarm", "many_failures", {}, "high"),
        ("token.refused", "refresh_token_reused", {}, "high"),
        ("token.refused", "code_replayed", {}, "high"),
        ("token.refused", "code_unknown", {}, None),
        ("detection.steps_out_of_order", "code_unknown", {}, "low"),
        ("detection.steps_out_of_order", "client_mismatch", {}, "medium"),
        ("tenant.configured", None, {"changed": ["accent", "tagline"]}, None),
        ("tenant.configured", None, {"changed": ["accent", "otp"]}, "medium"),
        ("tenant.configured", None, {"changed": ["otp"], "weakened": ["otp"]}, "high"),
        ("factor.removed", None, {"last": False}, "low"),
        ("factor.removed", None, {"last": True}, "medium"),
        ("user.role_assigned", None, {"role": "reader"}, "low"),
        ("user.role_assigned", None, {"role": "owner", "administrative": True}, "high"),
        ("user.created", None, {"roles": ["owner"], "administrative": True}, "high"),
        ("user.created", None, {"roles": []}, None),
        ("of.a_later_release", None, {}, None),
    ],
)
def test_an_events_severity(type_: str, reason: str | None, details: dict[str, Any], severity: str | None) -> None:
    assert severity_of(type_, reason, details) == severity


def test_what_was_stolen_is_high_whatever_it_is_told_of() -> None:
    assert {severity_of("anything.at_all", reason, {}) for reason in STOLEN} == {"high"}


@pytest.mark.parametrize(
    ("scopes", "is_so"),
    [
        ((), False),
        (("orders:read", "administrate"), False),
        (("orders:read", "admin"), True),
        (("admin:users",), True),
        (("admin.read",), True),
    ],
)
def test_scopes_of_administrators(scopes: tuple[str, ...], is_so: bool) -> None:
    assert administrative(scopes) is is_so

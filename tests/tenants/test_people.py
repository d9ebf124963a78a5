"""What a tenant asks of its people: stored as it was set, changed by rule, with a grace that no change renews."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.login import FactorRule
from tenants.errors import InvalidValue
from tenants.people import PeoplePolicy
from tenants.store import Store
from tenants.tenant import Tenant

NOW = datetime(2026, 11, 25, 12, 0, 0, 987654, tzinfo=UTC)
THIS_SECOND = NOW.replace(microsecond=0)
LATER = NOW + timedelta(days=30)
DAY = timedelta(days=1)
LONG_AGO = NOW - timedelta(days=1000)

EVERYTHING: dict[str, Any] = {
    "otp": "required",
    "otp_roles": ("operator", "admin", "operator"),
    "otp_grace": timedelta(days=7, seconds=1),
    "trusted_devices": True,
    "sign_up": True,
    "password_min_length": 12,
    "mail_sender": "no-reply@auth.example.com",
    "mail_texts": (("reset", "Hello {name},\n\tthis is Åsa’s team 🔑"), ("invite", "Welcome")),
}


def test_the_defaults_are_stored_as_nothing() -> None:
    assert PeoplePolicy().stored() == {}
    assert PeoplePolicy.from_stored({}) == PeoplePolicy()
    assert PeoplePolicy().changed(NOW) == PeoplePolicy()


@pytest.mark.parametrize("values", [*({name: value} for name, value in EVERYTHING.items()), EVERYTHING], ids=list)
def test_what_was_set_is_read_again(values: dict[str, Any]) -> None:
    policy = PeoplePolicy().changed(NOW, **values)
    assert policy != PeoplePolicy()
    assert PeoplePolicy.from_stored(policy.stored()) == policy
    assert policy.changed(LATER) == policy


async def test_a_tenant_keeps_its_policy(store: Store, acme: Tenant) -> None:
    assert acme.people == PeoplePolicy()
    policy = acme.people.changed(NOW, **EVERYTHING)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_people(policy)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = await mine.settings.get()
    assert found is not None
    assert found.people == policy


def test_a_stored_name_that_is_none_is_not_passed_over() -> None:
    with pytest.raises(TypeError):
        PeoplePolicy.from_stored({"otp_required": True})
    with pytest.raises(TypeError):
        PeoplePolicy().changed(NOW, is_admin=True)


def test_roles_and_texts_have_one_order() -> None:
    policy = PeoplePolicy().changed(NOW, otp_roles=["b", "a", "b"], mail_texts=(("reset", "R"), ("invite", "I")))
    assert policy.otp_roles == ("a", "b")
    assert policy.mail_texts == (("invite", "I"), ("reset", "R"))


@pytest.mark.parametrize(
    "values",
    [
        {"otp": "sometimes"},
        {"otp": ""},
        {"otp": "REQUIRED"},
        {"otp_roles": ("not a role",)},
        {"otp_roles": ("",)},
        {"otp_roles": ("fine", "\0")},
        {"otp_grace": timedelta(seconds=-1)},
        {"otp_grace": timedelta(days=90, seconds=1)},
        {"otp_grace": timedelta(milliseconds=1500)},
        {"otp_required_since": LATER},
        {"password_min_length": 7},
        {"password_min_length": 65},
        {"password_min_length": 0},
        {"mail_texts": (("reset", "x" * 2001),)},
        {"mail_texts": (("reset", "a\0b"),)},
        {"mail_texts": (("reset", "a\x1bb"),)},
        {"mail_texts": (("reset", "\ud83d"),)},
        {"mail_texts": (("a\0b", "text"),)},
        {"mail_texts": (("", "text"),)},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        PeoplePolicy().changed(NOW, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"otp_grace": timedelta(days=90)},
        {"password_min_length": 8},
        {"password_min_length": 64},
        {"password_min_length": None},
        {"mail_texts": (("reset", "x" * 2000),)},
        {"mail_sender": None},
        {"mail_sender": "o'neil+auth@a.example"},
    ],
    ids=str,
)
def test_a_value_at_the_bound_is_taken(values: dict[str, Any]) -> None:
    policy = PeoplePolicy().changed(NOW, **values)
    assert {name: getattr(policy, name) for name in values} == values


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "example.com",
        "@example.com",
        "a@",
        "a@@example.com",
        "a@example.com@evil.test",
        "Acme <a@example.com>",
        "a@example.com, b@evil.test",
        "a,b@example.com",
        "a b@example.com",
        "a@example.com\r\nBcc: b@evil.test",
        "a@example.com\n",
        "a\0@example.com",
        "a\x01@example.com",
        "\ud800@example.com",
        '"a"@example.com',
        "å@example.com",
        "a@-example.com",
        "a@example..com",
        "a@example.com.",
        "a@[127.0.0.1]",
        "a" * 65 + "@example.com",
        "a@" + "a." * 125 + "example",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@192.0.2.1",
    ],
)
def test_a_sender_is_one_plain_address(sender: str) -> None:
    with pytest.raises(InvalidValue):
        PeoplePolicy().changed(NOW, mail_sender=sender)


ROLES = ("a", "b")


@pytest.mark.parametrize(
    ("before", "after", "begins"),
    [
        ({}, {"otp": "required"}, True),
        ({}, {"otp_roles": ("a",)}, True),
        ({"otp": "off"}, {"otp": "required"}, True),
        ({"otp": "off"}, {"otp_roles": ("a",)}, True),
        ({"otp_roles": ("a",)}, {"otp": "required"}, True),
        ({"otp_roles": ("a",)}, {"otp_roles": ("a", "b")}, True),
        ({"otp_roles": ("a",)}, {"otp_roles": ("b",)}, True),
        ({"otp_roles": ROLES}, {"otp_roles": ("b", "a")}, False),
        ({"otp_roles": ROLES}, {"otp_roles": ("a",)}, False),
        ({"otp_roles": ROLES}, {"otp": "off"}, False),
        ({"otp": "required"}, {"otp_roles": ("a",)}, False),
        ({"otp": "required"}, {"otp": "optional", "otp_roles": ("a",)}, False),
        ({"otp": "required", "otp_roles": ROLES}, {"otp": "optional"}, False),
        ({"otp": "required"}, {"otp_grace": DAY, "trusted_devices": True}, False),
        ({"otp": "required"}, {"otp": "required"}, False),
    ],
    ids=str,
)
def test_the_grace_begins_with_those_who_are_asked_anew_and_with_no_other_change(
    before: dict[str, Any], after: dict[str, Any], begins: bool
) -> None:
    policy = PeoplePolicy().changed(LONG_AGO, **before)
    since = policy.otp_required_since
    assert policy.changed(NOW, **after).otp_required_since == (THIS_SECOND if begins else since)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"otp": "required"}, {"otp": "optional"}),
        ({"otp": "required"}, {"otp": "off"}),
        ({"otp_roles": ("a",)}, {"otp_roles": ()}),
        ({}, {"otp": "off"}),
    ],
    ids=str,
)
def test_where_nobody_is_asked_no_time_is_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert PeoplePolicy().changed(LONG_AGO, **before).changed(NOW, **after).otp_required_since is None


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("otp", "otp_roles", "roles", "offered", "required"),
    [
        ("off", (), {"a"}, False, False),
        ("off", ("a",), {"b"}, False, False),
        ("off", ("a",), {"a"}, True, True),
        ("optional", (), {"a"}, True, False),
        ("optional", ("a",), set(), True, False),
        ("optional", ("a",), {"b"}, True, False),
        ("optional", ("a",), {"a", "b"}, True, True),
        ("optional", ("a", "b"), {"b"}, True, True),
        ("required", (), set(), True, True),
        ("required", ("a",), {"b"}, True, True),
    ],
)
def test_a_second_factor_is_asked_of_all_or_of_those_with_a_role(
    otp: str, otp_roles: tuple[str, ...], roles: set[str], offered: bool, required: bool, trusted: bool
) -> None:
    policy = PeoplePolicy().changed(NOW, otp=otp, otp_roles=otp_roles, trusted_devices=trusted)
    rule = policy.rule_for(frozenset(roles), made_at=LONG_AGO)
    assert rule == FactorRule(offered=offered, required_from=THIS_SECOND if required else None, devices_trusted=trusted)


@pytest.mark.parametrize("asked", [{"otp": "required"}, {"otp_roles": ("a",)}])
@pytest.mark.parametrize(("made_at", "since"), [(LONG_AGO, THIS_SECOND), (THIS_SECOND, THIS_SECOND), (LATER, LATER)])
def test_the_grace_runs_from_the_requirement_or_from_a_later_making_of_the_user(
    asked: dict[str, Any], made_at: datetime, since: datetime
) -> None:
    policy = PeoplePolicy().changed(NOW, otp_grace=7 * DAY, **asked)
    assert policy.rule_for(frozenset({"a"}), made_at=made_at).required_from == since + 7 * DAY
    assert replace(policy, otp_grace=timedelta()).rule_for(frozenset({"a"}), made_at=made_at).required_from == since

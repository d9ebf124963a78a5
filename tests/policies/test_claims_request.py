"""The ``claims`` parameter (OpenID Connect Core section 5.5): its grammar, and what of it binds."""

import json
from typing import Any

import pytest

from policies.claims_request import MAX_LENGTH, ClaimsRequest, parse
from policies.decision import Deny

MALFORMED = Deny("claims_malformed")


def asked(**members: Any) -> ClaimsRequest | Deny:
    return parse(json.dumps(members))


def test_the_names_of_both_places_are_read_whatever_is_said_of_them() -> None:
    # The example of the section.
    request = parse("""{
        "userinfo": {"given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
                     "http://example.info/claims/groups": null},
        "id_token": {"auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]}}
    }""")
    assert request == ClaimsRequest(
        id_token=frozenset({"auth_time", "acr"}),
        userinfo=frozenset({"given_name", "nickname", "email", "http://example.info/claims/groups"}),
        acr_values=("urn:mace:incommon:iap:silver",),
    )
    assert isinstance(request, ClaimsRequest)
    assert request.names == request.id_token | request.userinfo


def test_nothing_is_asked_for_by_an_empty_object() -> None:
    assert asked() == asked(userinfo={}) == asked(id_token=None) == ClaimsRequest()


def test_members_and_wishes_that_are_not_known_are_ignored() -> None:
    assert asked(verified_claims=[1], userinfo={"email": {"purpose": "x"}}) == ClaimsRequest(
        userinfo=frozenset({"email"})
    )


@pytest.mark.parametrize("place", ["id_token", "userinfo"])
@pytest.mark.parametrize("wish", [{"value": "u-1"}, {"value": "u-1", "essential": True}, {"values": ["u-1"]}])
def test_a_subject_that_is_named_is_the_only_one_that_will_do(place: str, wish: Any) -> None:
    request = asked(**{place: {"sub": wish}})
    assert isinstance(request, ClaimsRequest)
    assert request.subject == "u-1"


def test_two_subjects_are_nobody() -> None:
    assert asked(id_token={"sub": {"value": "u-1"}}, userinfo={"sub": {"value": "u-2"}}) == MALFORMED
    assert asked(id_token={"sub": {"values": ["u-1", "u-2"]}}) == MALFORMED


@pytest.mark.parametrize(
    ("wish", "values", "essential"),
    [
        (None, (), False),
        ({"essential": True}, (), True),
        ({"value": "mfa", "essential": True}, ("mfa",), True),
        ({"values": ["mfa", "pwd"]}, ("mfa", "pwd"), False),
        ({"values": ["mfa"], "essential": False}, ("mfa",), False),
    ],
)
def test_context_classes_are_read_in_their_order_with_whether_they_are_essential(
    wish: Any, values: tuple[str, ...], essential: bool
) -> None:
    request = asked(id_token={"acr": wish})
    assert isinstance(request, ClaimsRequest)
    assert (request.acr_values, request.acr_essential) == (values, essential)


def test_a_context_class_in_userinfo_says_nothing_of_the_login() -> None:
    request = asked(userinfo={"acr": {"value": "mfa", "essential": True}})
    assert isinstance(request, ClaimsRequest)
    assert (request.acr_values, request.acr_essential) == ((), False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email",
        "null",
        "[]",
        '"userinfo"',
        "{",
        '{"userinfo": []}',
        '{"userinfo": "email"}',
        '{"userinfo": {"email": true}}',
        '{"userinfo": {"email": []}}',
        '{"userinfo": {"email": {"essential": "yes"}}}',
        '{"userinfo": {"email": {"essential": 1}}}',
        '{"userinfo": {"email": {"values": "x"}}}',
        '{"userinfo": {"email": {"value": "x", "values": ["x"]}}}',
        '{"id_token": {"sub": {"value": 7}}}',
        '{"id_token": {"sub": {"value": null}}}',
        '{"id_token": {"acr": {"values": ["mfa", 2]}}}',
        '{"userinfo": {"email": null}, "userinfo": {"name": null}}',
        '{"userinfo": {"email": null, "email": {"essential": true}}}',
        '{"userinfo": {"email": {"value": NaN}}}',
        '{"userinfo": {"email": {"value": ' + "[" * 4000 + "]" * 4000 + "}}}",
        json.dumps({"userinfo": {f"claim-{number}": None for number in range(101)}}),
        '{"userinfo": {"a": null}}' + " " * MAX_LENGTH,
    ],
)
def test_what_is_no_claims_request_is_refused(text: str) -> None:
    assert parse(text) == MALFORMED

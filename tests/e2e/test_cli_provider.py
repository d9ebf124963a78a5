"""What ``yett tenant configure`` sets of a tenant's OAuth server: named things change, the rest stays."""

import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def test_provider_settings_are_set_shown_and_taken_back(here: Installation) -> None:
    before = here.does("tenant", "show", "globex")
    assert before["key_rotation"] == "90d"
    said = here.does(
        *("tenant", "configure", "globex", "--registration", "--registered-clients", "7", "--require-par"),
        *("--key-rotation", "30", "--scope-claim", "hr", "department=const:Sales"),
        *("--scope-claim", "hr", "login=user.name", "--scope-claim", "urn:a:b", "https://x.example/roles=user.roles"),
    )
    assert said == here.does("tenant", "show", "globex")
    assert {name: value for name, value in said.items() if value != before[name]} == {
        "registration": True,
        "registered_clients": 7,
        "require_par": True,
        "key_rotation": "30d",
        "scope_claims": [
            "hr department=const:Sales",
            "hr login=user.name",
            "urn:a:b https://x.example/roles=user.roles",
        ],
    }
    event = last_event(here, "globex")
    assert (event["type"], event["details"]["changed"]) == (
        "tenant.configured",
        ["key_rotation", "registered_clients", "registration", "require_pushed", "scope_claims"],
    )
    replaced = here.does("tenant", "configure", "globex", "--scope-claim", "hr", "x=user.id", "--key-rotation", "never")
    assert (replaced["scope_claims"], replaced["key_rotation"]) == (["hr x=user.id"], "never")
    back = here.does(
        *("tenant", "configure", "globex", "--no-registration", "--registered-clients", "1000", "--no-require-par"),
        *("--key-rotation", "90", "--no-scope-claims"),
    )
    assert back == before
    assert here.rows("SELECT provider FROM tenants WHERE slug = 'globex'") == [("{}",)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--key-rotation", "monthly"), "neither a whole number of days nor 'never'"),
        (("--registered-clients", "100001"), "is not in the range"),
        (("--scope-claim", "hr", "department"), "is not a claim and its source"),
        (("--scope-claim", "hr", "a=user.id", "--scope-claim", "hr", "a=user.name"), "a stands there twice for hr"),
        (("--scope-claim", "hr", "a=user.id", "--no-scope-claims"), "cannot both be meant"),
    ],
    ids=" ".join,
)
def test_what_is_malformed_is_wrong_usage(here: Installation, options: tuple[str, ...], says: str) -> None:
    result = here.run("tenant", "configure", "acme", *options)
    assert (result.code, result.out) == (2, "")
    assert says in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--key-rotation", "1"), "a key signs for 2 to 3650 days"),
        (("--scope-claim", "openid", "x=user.id"), "OpenID Connect's to say"),
        (("--scope-claim", "hr", "sub=user.name"), "the protocol's own"),
        (("--scope-claim", "hr", "x=user.password"), "is no source of a claim"),
        (("--scope-claim", "two words", "x=user.id"), "is not a scope"),
    ],
    ids=" ".join,
)
def test_what_no_tenant_may_have_is_refused(here: Installation, options: tuple[str, ...], says: str) -> None:
    before = here.does("tenant", "show", "acme")
    refused(here, "tenant", "configure", "acme", "--registration", *options, says=says)
    assert here.does("tenant", "show", "acme") == before

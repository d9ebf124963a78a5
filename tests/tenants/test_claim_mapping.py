"""Claims that clients and scopes of a tenant's own are given: checked where they enter the store."""

from typing import Any

import pytest

from policies.scope import OPENID
from tenants.client_options import ClientOptions
from tenants.errors import InvalidValue
from tenants.provider import ProviderPolicy

GOOD = {"tier": "const:gold", "teams": "user.roles", "https://acme.test/mail": "user.email"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"sub": "user.name"}, "the claim sub is the protocol's own"),
    ({"cnf": "const:x"}, "the claim cnf is the protocol's own"),
    ({"tier": "user.password"}, "is no source of a claim"),
    ({"tier": "{user.name}"}, "is no source of a claim"),
    ({"a b": "user.name"}, "is not a claim"),
    ({"tier": "const:"}, "a constant has"),
    ({f"claim-{number}": "user.name" for number in range(51)}, "at most 50 claims"),
]


def test_a_mapping_is_kept_as_it_was_given() -> None:
    options = ClientOptions(claim_mapping=tuple(GOOD.items())).checked()
    assert dict(options.claim_mapping) == GOOD
    assert ClientOptions.from_stored(options.stored()) == options
    policy = ProviderPolicy().changed(scope_claims=(("company", tuple(sorted(GOOD.items()))),))
    assert dict(policy.claims_of("company")) == GOOD
    assert policy.claims_of("other") == ()
    assert ProviderPolicy.from_stored(policy.stored()) == policy


@pytest.mark.parametrize(("mapping", "rule"), BAD)
def test_what_breaks_the_rules_is_never_stored(mapping: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidValue, match=rule):
        ClientOptions(claim_mapping=tuple(mapping.items())).checked()
    with pytest.raises(InvalidValue, match=rule):
        ProviderPolicy().changed(scope_claims=(("company", tuple(mapping.items())),))


@pytest.mark.parametrize("scope", sorted(OPENID))
def test_what_the_scopes_of_openid_connect_release_is_not_the_tenants_to_say(scope: str) -> None:
    with pytest.raises(InvalidValue, match="OpenID Connect's to say"):
        ProviderPolicy().changed(scope_claims=((scope, (("tier", "const:gold"),)),))

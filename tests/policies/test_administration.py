"""Who may administer what: the tables fit together, and nobody reaches beyond themselves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import administration as tables
from policies.administration import OPERATOR_ROLES, SCOPES, TENANT_ROLES, administrative, beyond, decide
from policies.decision import Allow, Challenge, Deny
from policies.principal import Principal
from policies.scope import is_scope_token
from tests.policies.test_access import ALICE

_SCOPES = st.frozensets(st.sampled_from([*sorted(SCOPES), "orders:read", "yett:later", "yettish:x", "openid"]))


def asked(scopes: frozenset[str], amr: frozenset[str]) -> Principal:
    return replace(ALICE, scopes=scopes, amr=amr)


def test_every_scope_is_one_and_has_the_prefix() -> None:
    assert all(is_scope_token(scope) and scope.startswith(tables.PREFIX) for scope in SCOPES)
    assert administrative([*SCOPES, "orders:read"]) == SCOPES


def test_every_role_is_of_scopes_that_there_are() -> None:
    for scopes in (*OPERATOR_ROLES.values(), *TENANT_ROLES.values()):
        assert scopes <= SCOPES


@given(held=_SCOPES, touched=_SCOPES)
def test_nobody_reaches_beyond_their_own_scopes(held: frozenset[str], touched: frozenset[str]) -> None:
    missing = administrative(touched) - held
    match beyond(held, touched):
        case Allow():
            assert not missing
        case Deny(reason, scopes):
            assert (reason, scopes) == ("beyond_own_scopes", missing)
            assert missing


@given(scopes=_SCOPES, amr=st.frozensets(st.sampled_from(["pwd", "otp", "mfa", "recovery"])))
def test_an_operator_shows_a_factor_before_anything_else(scopes: frozenset[str], amr: frozenset[str]) -> None:
    decision = decide(asked(scopes, amr), "yett:users:read", of_platform=True, factor_required=True)
    if amr <= {"pwd"}:
        assert isinstance(decision, Challenge)
    else:
        assert isinstance(decision, Allow if "yett:users:read" in scopes else Deny)


@pytest.mark.parametrize("of_platform", [True, False])
def test_without_a_scope_any_administrator_may(of_platform: bool) -> None:
    nothing = asked(frozenset(), frozenset({"pwd"}))
    assert isinstance(decide(nothing, None, of_platform=of_platform, factor_required=False), Allow)
    assert isinstance(decide(nothing, "yett:users:read", of_platform=of_platform, factor_required=False), Deny)

"""Which clients a token concerns, and what one gets for it in an exchange (RFC 8693)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from policies.decision import Allow, Deny
from policies.principal import Principal
from policies.token_exchange import MOST_ACTORS, Exchange, ExchangingClient, decide
from policies.token_holder import may_hold

ORDERS, INVOICES = "https://api.example.com/orders", "https://api.example.com/invoices"
ISSUER, FORMER_ISSUER = "https://login.acme.example", "https://auth.example.com/t/acme"
ISSUERS = frozenset({ISSUER, FORMER_ISSUER})
READ, BOTH = frozenset({"orders:read"}), frozenset({"orders:read", "orders:write"})
SERVICE = ExchangingClient("orders-service", BOTH, (ORDERS, INVOICES), ISSUERS)


def principal(**changes: Any) -> Principal:
    facts: dict[str, Any] = {
        "tenant_id": UUID(int=1),
        "tenant": "acme",
        "subject": "alice",
        "client_id": "spa",
        "scopes": BOTH,
        "audiences": frozenset({ORDERS}),
        "token_id": "t-1",
        "issued_at": 1000,
        "expires_at": 1300,
        "claims": {},
    }
    return Principal(**(facts | changes))


def acting(**changes: Any) -> Principal:
    """Bob, by the client itself."""
    return principal(**({"subject": "bob", "client_id": "orders-service"} | changes))


def decided(subject: Principal, actor: Principal | None = None, **changes: Any) -> Exchange | Deny:
    asked = {"client": SERVICE, "asked": None, "audiences": (ORDERS,), "user_scopes": BOTH}
    return decide(subject, actor, **(asked | changes))


def exchanged(subject: Principal, actor: Principal | None = None, **changes: Any) -> Exchange:
    found = decided(subject, actor, **changes)
    assert isinstance(found, Exchange)
    return found


@pytest.mark.parametrize(
    ("client_id", "audiences", "decision"),
    [
        ("spa", (), Allow()),
        ("orders-service", (ORDERS,), Allow()),
        ("both", (INVOICES, ORDERS), Allow()),
        ("ledger", (INVOICES,), Deny("token_foreign")),
        ("prefix", (ORDERS + "/", ORDERS[:-1]), Deny("token_foreign")),
        ("alice", (), Deny("token_foreign")),
    ],
)
def test_a_token_concerns_its_own_client_and_the_clients_of_its_audience(
    client_id: str, audiences: tuple[str, ...], decision: Allow | Deny
) -> None:
    assert may_hold(principal(), client_id=client_id, audiences=audiences, issuers=ISSUERS) == decision


@pytest.mark.parametrize("audience", [ISSUER, FORMER_ISSUER])
def test_nobody_stands_for_the_issuer(audience: str) -> None:
    for_no_api = principal(audiences=frozenset({audience}), claims={"iss": audience})

    assert may_hold(for_no_api, client_id="other", audiences=(audience,), issuers=ISSUERS) == Deny("token_foreign")
    assert may_hold(for_no_api, client_id="spa", audiences=(audience,), issuers=ISSUERS) == Allow()


def test_without_a_scope_all_is_given_that_token_client_and_user_have() -> None:
    assert exchanged(principal()).scopes == BOTH
    assert exchanged(principal(scopes=READ)).scopes == READ
    assert exchanged(principal(), user_scopes=READ).scopes == READ
    assert exchanged(principal(), user_scopes=None).scopes == BOTH
    assert exchanged(principal(), client=ExchangingClient("s", READ, (ORDERS,), ISSUERS)).scopes == READ


@pytest.mark.parametrize("asked", ["orders:read", "orders:read orders:read"])
def test_a_narrower_scope_is_given(asked: str) -> None:
    assert exchanged(principal(), asked=asked).scopes == READ


@pytest.mark.parametrize("asked", ["admin", "orders:read admin", " orders:read", 'orders:"read', "offline_access"])
def test_a_wider_or_malformed_scope_is_refused_and_never_cut(asked: str) -> None:
    found = decided(principal(scopes=BOTH | {"offline_access"}), asked=asked)

    assert isinstance(found, Deny)
    assert found.reason == "invalid_scope"


@pytest.mark.parametrize(
    "changes",
    [{"user_scopes": READ}, {"client": ExchangingClient("s", READ, (ORDERS,), ISSUERS)}],
)
def test_what_user_or_client_have_not_is_refused(changes: dict[str, Any]) -> None:
    assert isinstance(decided(principal(), asked="orders:write", **changes), Deny)


def test_the_right_to_refresh_is_not_passed_on() -> None:
    client = ExchangingClient("s", BOTH | {"offline_access"}, (ORDERS,), ISSUERS)

    assert exchanged(principal(scopes=READ | {"offline_access"}), client=client, user_scopes=None).scopes == READ


def test_a_foreign_subject_is_refused() -> None:
    assert decided(principal(audiences=frozenset({"https://elsewhere.example"}))) == Deny("subject_token_foreign")


def test_an_actor_s_token_is_one_that_was_issued_to_the_client_itself() -> None:
    """Whoever called the client's API with it did not agree to act for somebody else."""
    assert decided(principal(), principal(subject="bob")) == Deny("actor_token_foreign")


def test_a_client_of_others_makes_no_token_for_another_api_of_its_own() -> None:
    own = principal(client_id="orders-service")

    assert isinstance(decided(own), Exchange)
    assert decided(own, audiences=(ORDERS, INVOICES)) == Deny("invalid_target")
    assert decided(own, audiences=(INVOICES,)) == Deny("invalid_target")
    assert isinstance(decided(own, audiences=(INVOICES,), client=replace(SERVICE, first_party=True)), Exchange)
    assert isinstance(decided(own, audiences=(INVOICES,), user_scopes=None), Exchange), "no user has to agree"
    assert isinstance(decided(principal(), audiences=(INVOICES,)), Exchange), "it stands for the API of this one"


def test_the_client_acts_where_nobody_else_does() -> None:
    assert exchanged(principal()).actor == {"sub": "orders-service"}


def test_whose_token_is_the_actor_token_acts() -> None:
    assert exchanged(principal(), acting()).actor == {"sub": "bob"}


def test_who_acted_before_is_nested_in_who_acts_now() -> None:
    before = principal(claims={"act": {"sub": "gateway"}})

    assert exchanged(before).actor == {"sub": "orders-service", "act": {"sub": "gateway"}}


def test_the_chain_of_actors_has_an_end() -> None:
    act: dict[str, Any] = {"sub": "first"}
    for number in range(MOST_ACTORS - 2):
        act = {"sub": f"s{number}", "act": act}
    last = exchanged(principal(claims={"act": act}))

    assert decided(principal(claims={"act": last.actor})) == Deny("actor_chain_too_long")


@pytest.mark.parametrize("act", ["x", 1, [], None, {"sub": "a", "act": "x"}])
def test_what_is_no_chain_cannot_be_extended(act: Any) -> None:
    found = decided(principal(claims={"act": act}))

    assert found == Deny("actor_chain_too_long") if act is not None else isinstance(found, Exchange)


def test_an_actor_acts_for_itself() -> None:
    assert decided(principal(), acting(claims={"act": {"sub": "x"}})) == Deny("actor_token_delegated")


def test_it_ends_with_the_first_of_its_tokens() -> None:
    assert exchanged(principal(), acting(expires_at=1200)).expires_at == 1200
    assert exchanged(principal(), acting(expires_at=1400)).expires_at == 1300


@pytest.mark.parametrize(
    ("subject", "actor", "bindings"),
    [
        ({}, None, frozenset()),
        ({"cnf": {"jkt": "a"}}, None, frozenset({"a"})),
        ({"cnf": {"jkt": "a"}}, {"cnf": {"jkt": "a"}}, frozenset({"a"})),
        ({}, {"cnf": {"jkt": "b"}}, frozenset({"b"})),
        ({"cnf": {"jkt": "a"}}, {"cnf": {"jkt": "b"}}, frozenset({"a", "b"})),
        ({"cnf": {"x5t#S256": "a"}}, None, frozenset({""})),
        ({"cnf": "a"}, None, frozenset({""})),
    ],
)
def test_every_key_that_a_token_is_bound_to_has_to_be_proved(
    subject: dict[str, Any], actor: dict[str, Any] | None, bindings: frozenset[str]
) -> None:
    actors = None if actor is None else acting(claims=actor)

    assert exchanged(principal(claims=subject), actors).bindings == bindings

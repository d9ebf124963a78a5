"""Claims as data: the sources there are, the names that nobody may take, what comes out."""

import pytest

from policies.claim_mapping import MOST_CLAIMS, RESERVED, SOURCES, STANDARD, ClaimFacts, claims, problem

ALICE = ClaimFacts(
    "u-1", "alice", "alice@acme.test", False, ("writer", "admin"), "acme", "Acme Corp", "spa", ("staff", "oncall")
)
NOBODY = ClaimFacts("u-2", "bob", None, False, (), "acme", "Acme Corp", "spa")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("user.id", "u-1"),
        ("user.name", "alice"),
        ("user.email", "alice@acme.test"),
        ("user.email_verified", False),
        ("user.roles", ["admin", "writer"]),
        ("user.groups", ["oncall", "staff"]),
        ("tenant.slug", "acme"),
        ("tenant.name", "Acme Corp"),
        ("client.id", "spa"),
        ("const:gold", "gold"),
        ("const:user.name", "user.name"),
        ("const:const:", "const:"),
    ],
)
def test_a_claim_has_the_value_of_its_source(source: str, value: object) -> None:
    assert problem([("tier", source)]) is None
    assert claims([("tier", source)], ALICE) == {"tier": value}


def test_every_source_is_among_those_that_are_tested() -> None:
    assert set(SOURCES) == {
        *("user.id", "user.name", "user.email", "user.email_verified", "user.roles", "user.groups"),
        *("tenant.slug", "tenant.name", "client.id"),
    }


def test_what_has_no_value_is_left_out_and_never_null() -> None:
    mapping = [("mail", "user.email"), ("checked", "user.email_verified"), ("teams", "user.roles")]
    assert claims(mapping, NOBODY) == {"teams": []}


def test_the_last_one_of_a_name_counts() -> None:
    assert claims([("name", "user.name"), ("name", "user.email")], ALICE) == {"name": "alice@acme.test"}


@pytest.mark.parametrize("claim", sorted(RESERVED))
def test_a_claim_of_the_protocol_cannot_be_mapped(claim: str) -> None:
    assert problem([(claim, "user.name")]) == f"the claim {claim} is the protocol's own"


@pytest.mark.parametrize(
    "claim",
    [
        *("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr", "azp", "at_hash"),
        *("c_hash", "sid", "cnf", "act", "client_id", "scope"),
    ],
)
def test_what_tokens_say_by_themselves_is_reserved(claim: str) -> None:
    assert claim in RESERVED


@pytest.mark.parametrize("claim", ["", "a b", 'a"b', "a\\b", "é", "a\n", "a\0", "x" * 101])
def test_a_malformed_name_is_refused(claim: str) -> None:
    assert "is not a claim" in str(problem([(claim, "user.name")]))


@pytest.mark.parametrize("claim", ["tier", "https://acme.test/tier", "Sub", "x" * 100])
def test_names_are_taken_as_they_are(claim: str) -> None:
    assert problem([(claim, "user.name")]) is None


@pytest.mark.parametrize(
    "source",
    ["", "user", "user.password", "user.name ", "User.name", "user.__class__", "{user.name}", "Const:x", "const"],
)
def test_what_is_no_source_is_refused(source: str) -> None:
    assert "is no source" in str(problem([("tier", source)]))
    with pytest.raises(KeyError):
        claims([("tier", source)], ALICE)


@pytest.mark.parametrize("source", ["const:", "const:a\nb", "const:" + "x" * 201, "const:\x7f"])
def test_a_constant_is_printable_and_not_too_long(source: str) -> None:
    assert "a constant has" in str(problem([("tier", source)]))


def test_there_are_not_too_many() -> None:
    mapping = [(f"claim-{number}", "user.name") for number in range(MOST_CLAIMS + 1)]
    assert problem(mapping[:-1]) is None
    assert "at most" in str(problem(mapping))


def test_what_the_standard_scopes_release_could_be_stored() -> None:
    for pairs in STANDARD.values():
        assert problem(pairs) is None

"""DPoP proofs: whose key may use what is bound, and which addresses are one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import dpop
from policies.decision import Allow, Deny
from policies.dpop import Invalid, NonceWanted

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "dpop.json").read_text())


@pytest.mark.parametrize("row", VECTORS["targets"], ids=lambda row: f"{row['htu']!r} for {row['url']}")
def test_an_address_is_compared_in_its_normal_form(row: dict[str, Any]) -> None:
    assert dpop.same_target(row["htu"], row["url"]) is row["same"]


@given(st.text())
def test_no_text_breaks_the_comparison(text: str) -> None:
    assert dpop.same_target(f"https://api.example.com/{text}", "https://other.example/") is False


def test_an_endless_address_is_not_even_read() -> None:
    assert not dpop.same_target("https://api.example.com/a?" + "b" * 5000, "https://api.example.com/a")


def test_what_is_bound_is_used_by_who_holds_its_key() -> None:
    assert dpop.holder(None, None) == Allow()
    assert dpop.holder(None, "a") == Allow()
    assert dpop.holder("a", "a") == Allow()
    assert dpop.holder("a", None) == Deny("dpop_proof_missing")
    assert dpop.holder("a", "b") == Deny("dpop_key_mismatch")


@pytest.mark.parametrize("refusal", [Invalid("dpop_type"), NonceWanted()])
def test_a_refusal_is_never_truth_tested(refusal: object) -> None:
    with pytest.raises(TypeError):
        bool(refusal)


def test_the_hash_of_the_token_counts_where_there_is_one() -> None:
    claims = {"jti": "1", "htm": "GET", "htu": "https://a.test/", "iat": 100, "nonce": "n", "ath": "hash"}

    def decided(**given: Any) -> object:
        return dpop.claims(claims, method="GET", url="https://a.test/", now=100, nonces={"n"}, **given)

    assert decided() == dpop.ProofClaims("1", 220)
    assert decided(token_hash="hash") == dpop.ProofClaims("1", 220)
    assert decided(token_hash="another") == Invalid("dpop_token_hash")

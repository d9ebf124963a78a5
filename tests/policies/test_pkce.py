"""PKCE with S256 (RFC 7636)."""

import pytest

from policies.decision import Allow, Deny
from policies.pkce import challenge_of, is_challenge, verify

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Appendix B of the RFC."""


def test_the_rfcs_own_pair() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE
    assert is_challenge(CHALLENGE)
    assert verify(VERIFIER, challenge=CHALLENGE) == Allow()


@pytest.mark.parametrize(
    ("verifier", "reason"),
    [
        (None, "verifier_missing"),
        ("", "verifier_malformed"),
        (VERIFIER[:42], "verifier_malformed"),
        ("a" * 129, "verifier_malformed"),
        (f"{VERIFIER[:-1]}+", "verifier_malformed"),
        (f"{VERIFIER}\n", "verifier_malformed"),
        (f"{VERIFIER[:-1]}\N{LATIN SMALL LETTER E WITH ACUTE}", "verifier_malformed"),
        (CHALLENGE, "verifier_wrong"),  # "plain": the challenge is no secret
        (VERIFIER.swapcase(), "verifier_wrong"),
        (f"{VERIFIER}A", "verifier_wrong"),
    ],
)
def test_what_is_not_the_verifier(verifier: str | None, reason: str) -> None:
    assert verify(verifier, challenge=CHALLENGE) == Deny(reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CHALLENGE[:-1],
        f"{CHALLENGE}A",
        f"{CHALLENGE}=",
        f"{CHALLENGE[:-1]}+",
        f"{CHALLENGE[:-1]}N",
        f"{CHALLENGE}\n",
    ],
)
def test_what_can_be_no_sha256(text: str) -> None:
    assert not is_challenge(text)


def test_a_verifier_may_be_as_long_as_the_rfc_lets_it() -> None:
    for verifier in ("a" * 43, "~._-" * 32):
        assert verify(verifier, challenge=challenge_of(verifier)) == Allow()

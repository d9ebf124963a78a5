"""Passwords: what is one, in which form, and which may be set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.password import MAX_BYTES, Password, Unacceptable, for_setting, normalise


@pytest.mark.parametrize("text", ["", " ", "correct horse battery staple", "pässwörd", "🐎" * 256, "x" * MAX_BYTES])
def test_text_up_to_the_limit_is_a_password(text: str) -> None:
    assert normalise(text) == Password(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * (MAX_BYTES + 1), "password_too_long"),
        ("é" * 513, "password_too_long"),
        ("x" * 1_000_000, "password_too_long"),
        ("a\0b", "password_has_nul"),
        ("a\ud800", "password_not_text"),
        ("\udc80", "password_not_text"),
    ],
)
def test_what_is_no_password(text: str, reason: str) -> None:
    assert normalise(text) == Unacceptable(reason)


def test_two_spellings_of_a_letter_are_one_password() -> None:
    assert normalise("cafe\u0301") == normalise("caf\u00e9") == Password("caf\u00e9")


def test_compatibility_forms_stay_distinct() -> None:
    assert normalise("ﬁ") != normalise("fi")


def test_the_limit_is_of_the_normal_form() -> None:
    assert normalise("\u1112\u1161\u11ab" * 341) == Password("한" * 341)
    assert normalise("\u03b1\u0313\u0301\u0345" * 341) == Password("ᾄ" * 341)


def test_nothing_is_truncated() -> None:
    assert normalise("x" * 1023 + "a") != normalise("x" * 1023 + "b")


@given(st.text(max_size=200))
def test_the_normal_form_is_stable(text: str) -> None:
    first = normalise(text)
    if isinstance(first, Password):
        assert normalise(first.text) == first


def test_a_short_password_may_be_checked_but_not_set() -> None:
    assert normalise("1234567") == Password("1234567")
    assert for_setting("1234567") == Unacceptable("password_too_short")
    assert for_setting("12345678") == Password("12345678")


def test_length_counts_characters_after_normalisation() -> None:
    assert for_setting("e\u0301" * 4) == Unacceptable("password_too_short")
    assert for_setting("한글한글한글한글") == Password("한글한글한글한글")
    assert for_setting("abc", min_length=3) == Password("abc")


def test_a_repr_hides_the_password() -> None:
    assert "hunter2" not in repr(normalise("hunter2"))

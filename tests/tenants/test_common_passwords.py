"""The shipped list of common passwords: the form that its reader relies on, and what is to be found on it."""

import unicodedata

import pytest

from policies.password import LEAST_MIN_LENGTH, MAX_BYTES, Password, PasswordRule, Unacceptable, for_setting
from tenants import common_passwords


def test_the_list_has_the_form_that_a_password_is_compared_in() -> None:
    listed = common_passwords.load()
    assert 10_000 < len(listed) < 30_000
    for entry in listed:
        assert LEAST_MIN_LENGTH <= len(entry) <= MAX_BYTES
        assert entry == unicodedata.normalize("NFC", entry.strip()).casefold()
        assert entry.isprintable()


def test_the_list_is_read_once() -> None:
    assert common_passwords.load() is common_passwords.load()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "password",
            "Password1",
            "12345678",
            "iloveyou",
            "ILOVEYOU",
            "princess",
            "qwertyuiop",
            "1q2w3e4r5t",
            "trustno1",
        ),
        *("password1234567", "Sunshine!!!!2024", "qwerty1234567890", "1q2w3e4r5t6y7u8i9o0p", "iloveyouiloveyou"),
    ],
)
def test_what_is_tried_first_is_refused(text: str) -> None:
    rule = PasswordRule(8, (), common_passwords.load())
    assert for_setting(text, rule) == Unacceptable("password_common")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "correct horse battery staple",
            "another long password",
            "the password is swordfish",
            "iloveyou but not mornings",
        ),
        *(
            "vK8$tqz!",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "Donaudampfschifffahrt 1871",
            "山の上にある小さな古い家と猫たち",
        ),
    ],
)
def test_a_phrase_and_a_random_text_are_not(text: str) -> None:
    assert for_setting(text, PasswordRule(8, (), common_passwords.load())) == Password(text)

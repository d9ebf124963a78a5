"""Passwords: what is one, in which form, and which may be set."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.password import (
    MAX_BYTES,
    Password,
    PasswordRule,
    Unacceptable,
    for_setting,
    least_length,
    normalise,
    stands_alone,
)


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


COMMON = frozenset({"sunshine", "trustno1", "pa$$word", "grossmaul", "12341234x"})


def rule(min_length: int = 8, *own_words: str) -> PasswordRule:
    return PasswordRule(min_length, own_words, COMMON)


def judged(text: str, *own_words: str) -> str | None:
    """The reason against it."""
    found = for_setting(text, rule(8, *own_words))
    return found.reason if isinstance(found, Unacceptable) else None


def test_a_short_password_may_be_checked_but_not_set() -> None:
    assert normalise("gX4!kQz") == Password("gX4!kQz")
    assert for_setting("gX4!kQz", rule()) == Unacceptable("password_too_short")
    assert for_setting("gX4!kQz?", rule()) == Password("gX4!kQz?")


def test_length_counts_characters_after_normalisation() -> None:
    assert for_setting("be\u0301do\u0302ne\u0301", rule()) == Unacceptable("password_too_short")
    assert for_setting("한글날에만난친구", rule()) == Password("한글날에만난친구")
    assert for_setting("gX4!kQz?m", rule(10)) == Unacceptable("password_too_short")


@pytest.mark.parametrize("text", ["x" * (MAX_BYTES + 1), "a\0bcdefghijk", "\ud800bcdefghijk"])
def test_what_is_no_password_is_none_to_set(text: str) -> None:
    assert for_setting(text, rule()) == normalise(text)


def test_there_is_no_rule_of_composition() -> None:
    for text in (
        "onlysmallletters",
        "ONLYLARGELETTERS",
        "846159372058",
        "!?%&/()=$!",
        "        leading spaces",
        "ночной поезд",
    ):
        assert judged(text) is None, text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "sunshine",
            "SunShine",
            "SUNSHINE",
            "\uff53\uff55\uff4e\uff53\uff48\uff49\uff4e\uff45",
            "Großmaul",
            "GROSSMAUL",
            "PA$$WORD",
        ),
        *(
            "sunshine1",
            "sunshine1985",
            "!sunshine!",
            "2024-Sunshine-2024",
            "  sunshine  ",
            "sunshine123456789",
            "trustno1!?.",
        ),
        *("sunshinesunshine", "SunshineSunshineSun", "sunshine1985sunshine1985"),
    ],
)
def test_a_listed_password_is_refused_whatever_its_case_and_what_is_around_it(text: str) -> None:
    assert judged(text) == "password_common"


@pytest.mark.parametrize("text", ["sunshinemonday", "my sunshine", "sunshine and rain", "sunsh1ne", "notrustno1here"])
def test_a_listed_password_inside_of_a_phrase_is_no_reason(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("aaaaaaaaaaaaaaaa", "................", "                ", "aaaaaaaabbbbbbbb", "\U0001f40e" * 15),
        *(
            "1234567890",
            "12345678901234567890",
            "9876543210",
            "0123456789",
            "abcdefghijklmnop",
            "ponmlkjihgfedcba",
            "ABCDEFGHIJKLMNOP",
        ),
        *(
            "qwertyuiop",
            "poiuytrewq",
            "QwertyUiop",
            "asdfghjkl1234",
            "qwertyuiopasdfghjklzxcvbnm",
            "abcd1234efgh5678",
            "αβγδεζηθ",
        ),
        *("monkey1234567890", "1234monkey4321", "a1234567890123456"),
        *("abcabcabcabcabc", "monkeymonkeymonkey", "12312312312312", "xyxyxyxyxyxyxyx", "no no no no no no"),
    ],
)
def test_runs_and_repetitions_count_as_common(text: str) -> None:
    assert judged(text) == "password_common"


@pytest.mark.parametrize(
    "text",
    [
        *("sunshinesunshine1", "SunshineSunshine2031!", "!sunshinesunshine!", "sunshine sunshine sunshine!"),
        *("sunshine-sunshine-1", "adminadminadmin123", "adminadminadmin!?", "123adminadminadmin", "abcabc!!"),
        *("sunshine1sunshine1sunshine2", "monkeymonkeymon7", "sunshine, sunshine", "alice-alice"),
    ],
)
def test_a_repetition_with_figures_or_signs_around_it_counts_as_common(text: str) -> None:
    assert judged(text) == "password_common"


@pytest.mark.parametrize(
    "text", ["bobo 48261 93752", "aa837261940!?", "mama?84%2&91", "green tomatoes 1", "toto84toto", "tea?!&fortea"]
)
def test_a_little_that_repeats_beside_much_else_is_no_reason(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize("text", ["abc", "x1234y", "qwer", "zzzz"])
def test_a_run_inside_of_enough_else_is_no_reason(text: str) -> None:
    assert judged(f"green {text} tomatoes") is None


@pytest.mark.parametrize(
    ("text", "own_word"),
    [
        ("alicesmith", "alice.smith"),
        ("Alice.Smith", "alice.smith"),
        ("alice.smith@example.com", "alice.smith@example.com"),
        ("smith_alice_1985", "alice.smith"),
        ("alicealice", "alice"),
        ("alice+alice=2alice", "alice"),
        ("ALICE 07.11.2031", "alice"),
        ("\uff41\uff4c\uff49\uff43\uff45 07.11.31", "alice"),
        ("!!alice!?", "Alice"),
        ("acme-corp-2031", "acme-corp"),
        ("ACMECORPORATION", "Acme Corporation"),
        ("Corporation%&$", "Acme Corporation"),
        ("strasse1907", "Straße"),
        ("山田太郎19850711", "山田太郎"),
        ("4711081546", "4711081546"),
        ("4711081546!", "4711081546"),
    ],
)
def test_a_password_of_own_names_alone_is_refused(text: str, own_word: str) -> None:
    assert judged(text, "globex", own_word) == "password_own_name"


def test_own_names_together_are_refused_as_well() -> None:
    assert judged("acme-alice-1985", "Acme", "acme", "alice", "a.smith") == "password_own_name"


@pytest.mark.parametrize(
    ("text", "own_word"),
    [
        ("alice in wonderland", "alice"),
        ("malice", "alice"),
        ("acmesunflower", "acme"),
        ("alialicece", "alice"),
        ("gX4!kQz?", "g"),
        ("839257710486", "7"),
        ("471108154623", "4711081546"),
        ("gX4!kQz?", ""),
        ("gX4!kQz?", "._-"),
        ("18.05.1962 07:35", "alice"),
    ],
)
def test_an_own_name_among_other_words_is_no_reason(text: str, own_word: str) -> None:
    assert judged(text.ljust(8, "x"), own_word) is None


@pytest.mark.parametrize(
    ("setting", "second_factor", "expected"),
    [(None, True, 8), (None, False, 15), (12, True, 12), (12, False, 12), (8, False, 8), (64, True, 64)],
)
def test_the_least_length_is_nists_unless_the_tenant_sets_one(
    setting: int | None, second_factor: bool, expected: int
) -> None:
    assert least_length(setting, second_factor=second_factor) == expected


@pytest.mark.parametrize(
    ("length", "setting", "expected"),
    [(14, None, False), (15, None, True), (8, 8, True), (20, 21, False), (21, 21, True)],
)
def test_a_password_stands_alone_from_the_length_that_a_user_without_a_factor_needs(
    length: int, setting: int | None, expected: bool
) -> None:
    assert stands_alone(Password("é" * length), setting) is expected


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=4))
def test_every_text_is_judged(text: str, own_words: list[str]) -> None:
    found = for_setting(text, rule(8, *own_words))
    assert found == normalise(text) or isinstance(found, Unacceptable)


def test_a_long_password_is_judged_at_once() -> None:
    begun = process_time()
    nested = "a"
    while len(nested) < 512:
        nested += nested + "1"  # repeats, within what repeats, with a figure after each
    for text in (
        nested,
        "ab" * 512,
        "abc " * 256,
        "a" * 1023 + "b",
        "alice" * 204,
        "".join(map(chr, range(33, 127))) * 10,
    ):
        for_setting(text, rule(8, *("alice" * 40 + " x" * 20).split()))
    assert process_time() - begun < 1


def test_a_repr_hides_the_password() -> None:
    assert "hunter2" not in repr(normalise("hunter2"))

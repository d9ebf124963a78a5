"""User names and addresses: spellings have one key, what looks like another's is refused, what was there is found."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.errors import InvalidValue
from tenants.scripts import mixes_scripts
from tenants.user_names import address_key, checked_key, is_address_key, look_up_key, name_key

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "user_names.json").read_text())
ASCII = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=20)
ATOMS = st.text("abcXYZ019!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=6)
LABELS = st.from_regex(r"[a-zA-Z]([a-zA-Z0-9-]{0,4}[a-z0-9])?", fullmatch=True)


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def key_of(name: str, rule: Callable[[str], str] = name_key) -> str | None:
    """None for what is refused."""
    try:
        return rule(name)
    except InvalidValue:
        return None


@pytest.mark.parametrize("vector", named(VECTORS["same"]))
def test_spellings_of_one_name_have_one_key(vector: dict[str, Any]) -> None:
    assert len({name_key(spelling) for spelling in vector["spellings"]}) == 1


@pytest.mark.parametrize(("one", "other"), VECTORS["different"])
def test_names_that_look_different_have_different_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize("vector", named([*VECTORS["unseen"], *VECTORS["refused"]]))
def test_what_cannot_be_a_name_is_refused_with_a_sentence(vector: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=r"^(a user name|an email address) [a-z]"):
        name_key(vector["text"])


@pytest.mark.parametrize("name", VECTORS["allowed"])
def test_names_of_one_script_and_of_those_that_are_written_together_are_allowed(name: str) -> None:
    assert name_key(name) == look_up_key(name)


@pytest.mark.parametrize("vector", named(VECTORS["unseen"]))
def test_what_nobody_can_see_finds_nobody(vector: dict[str, Any]) -> None:
    assert look_up_key(vector["text"]) is None


@pytest.mark.parametrize("vector", named(VECTORS["of_old"]))
def test_a_name_of_before_these_rules_has_the_key_that_it_had(vector: dict[str, Any]) -> None:
    assert len({look_up_key(spelling) for spelling in vector["spellings"]}) == 1
    assert None not in map(look_up_key, vector["spellings"])


@given(st.text(min_size=1, max_size=20))
def test_a_key_is_its_own_key(name: str) -> None:
    key = look_up_key(name)
    if key is None or key != key.strip():  # a lone diacritic unfolds into one on a space, which nobody types as such
        return
    assert look_up_key(key) == key


@given(st.text(max_size=20))
def test_what_is_stored_is_found_by_every_spelling_of_its_case_and_width(name: str) -> None:
    key = key_of(name)
    if key is None:
        return
    assert look_up_key(name) == key
    for spelling in (unicodedata.normalize("NFD", name), unicodedata.normalize("NFKC", name), name.casefold(), key):
        assert key_of(spelling) in (key, None)


@given(st.one_of(ASCII, st.text(max_size=20)))
def test_the_short_way_for_plain_names_says_what_the_whole_rule_says(name: str) -> None:
    assert key_of(name) == key_of(name, checked_key)


def test_the_two_ways_agree_on_every_pair_of_ascii_characters() -> None:
    pairs = [first + second for first in map(chr, range(128)) for second in map(chr, range(128))]
    assert [key_of(pair) for pair in pairs] == [key_of(pair, checked_key) for pair in pairs]
    assert [key_of(pair[0]) for pair in pairs] == [key_of(pair[0], checked_key) for pair in pairs]


@pytest.mark.parametrize("name", ["x" * 255, "\ufdfa" * 254, "é" * 255, "a" * 243 + "@example.com"])
def test_a_name_is_not_longer_than_its_column(name: str) -> None:
    with pytest.raises(InvalidValue):
        name_key(name)
    with pytest.raises(InvalidValue):
        checked_key(name)


@pytest.mark.parametrize("spellings", VECTORS["address"]["same"])
def test_an_address_is_a_name_and_its_case_does_not_matter(spellings: list[str]) -> None:
    keys = {name_key(spelling) for spelling in spellings} | {address_key(spelling) for spelling in spellings}
    assert keys == {spellings[0]}
    assert is_address_key(spellings[0])


@pytest.mark.parametrize("address", VECTORS["address"]["refused"])
def test_what_cannot_be_an_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidValue):
        address_key(address)
    if "@" in unicodedata.normalize("NFKC", address):
        with pytest.raises(InvalidValue):
            name_key(address)


@given(st.lists(ATOMS, min_size=1, max_size=3), st.lists(LABELS, min_size=1, max_size=4))
def test_the_key_of_an_address_is_its_key_as_a_name_and_as_what_is_looked_up(
    atoms: list[str], labels: list[str]
) -> None:
    address = f"{'.'.join(atoms)}@{'.'.join(labels)}"
    assert address_key(address) == name_key(address) == checked_key(address) == look_up_key(address)


def test_an_address_keeps_the_lengths_of_mail() -> None:
    domain = f"{'d' * 63}.{'d' * 63}.{'d' * 63}"
    assert address_key(f"{'l' * 62}@{domain}")  # 254
    for address in (f"{'l' * 63}@{domain}", f"{'l' * 65}@example.com", f"alice@{'d' * 64}.example"):
        with pytest.raises(InvalidValue):
            address_key(address)
    assert address_key(f"{'l' * 64}@example.com")


def test_the_whole_of_ascii_is_latin_or_of_no_script() -> None:
    assert not mixes_scripts("".join(map(chr, range(33, 127))))
    assert not mixes_scripts("\N{COMBINING ACUTE ACCENT}é-1.\N{MIDDLE DOT}")

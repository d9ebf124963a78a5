"""Texts: fields are replaced by name, once, and nothing else happens to them."""

from dataclasses import astuple
from typing import get_args

import pytest

from gateway.mail.wording import OWN_TEXTS, TextName, Wordings, fill

VALUES = {"tenant": "Acme", "user": "alice", "link": "https://auth.example.com/x"}
SAID = {"tenant", "user", "link", "email", "expires", "time", "address", "user_agent", "invited_by"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {user} of {tenant}", "Hello alice of Acme"),
        ("{user}{user}", "alicealice"),
        ("{password} {user.name} {user!r} {user:>9} {0} {} { user } {{user}}", "same"),
        ("{user.__class__} {tenant[0]} %(user)s $user {{7*7}} {% if x %}", "same"),
        ("{USER} {Üser} {" + "u" * 40 + "}", "same"),
        ("a { b } c }{ d", "same"),
        ("", ""),
    ],
)
def test_known_fields_are_replaced_and_everything_else_stays(text: str, filled: str) -> None:
    assert fill(text, VALUES) == (text.replace("{{user}}", "{alice}") if filled == "same" else filled)


def test_a_value_is_not_read_for_fields() -> None:
    assert fill("{user}", {"user": "{link} {tenant}", **{k: v for k, v in VALUES.items() if k != "user"}}) == (
        "{link} {tenant}"
    )


@pytest.mark.parametrize("name", get_args(TextName))
def test_every_letter_has_words_and_names_only_fields_that_there_are(name: TextName) -> None:
    wording = Wordings().of(name, {})

    assert all((wording.subject, wording.button, wording.body))
    assert wording.language == "en"
    left = fill("\n".join(map(str, astuple(wording))), dict.fromkeys(SAID, ""))
    assert "{" not in left, "a field that nothing fills"
    assert wording.body.split("\n\n").count("{link}") == 1, "the link stands alone, once: it becomes the button"
    assert "{link}" not in wording.subject + wording.button, "servers log subjects"


@pytest.mark.parametrize("part", ["reset", "reset.subject", "reset.button"])
def test_a_tenants_own_text_takes_the_place_of_that_part_alone(part: str) -> None:
    built_in, own = Wordings().of("reset", {}), Wordings().of("reset", {part: " Hallo {user} \n", "verify": "other"})

    changed = {"reset": "body", "reset.subject": "subject", "reset.button": "button"}[part]
    for field in ("subject", "button", "body"):
        assert getattr(own, field) == ("Hallo {user}" if field == changed else getattr(built_in, field))
    assert own.language is None, "nobody knows in which language the tenant writes"


def test_an_empty_text_of_a_tenant_is_none() -> None:
    assert Wordings().of("reset", {"reset": " \n", "reset.subject": ""}) == Wordings().of("reset", {})


def test_the_names_of_own_texts_are_the_letters_and_their_parts() -> None:
    assert {"reset", "reset.subject", "reset.button", "sign_up_known"} <= OWN_TEXTS
    assert len(OWN_TEXTS) == 3 * len(get_args(TextName))

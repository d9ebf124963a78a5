"""What letters say: the built-in texts and a tenant's own, plain text with named fields.

A field is replaced by looking its name up in the values at hand, once: a text is never a template, a value is never
read for fields, and a name that is none stays as it was written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

TextName = Literal[
    "reset",
    "sign_up",
    "sign_up_known",
    "verify",
    "invite",
    "new_device",
    "password_changed",
    "factor_added",
    "factor_removed",
    "email_changed",
]
LANGUAGE = "en"
LINK = "{link}"
# A letter's body goes by its name, and what stands above it by these two.
_PARTS = ("subject", "button")
OWN_TEXTS = frozenset(
    f"{name}{suffix}" for name in get_args(TextName) for suffix in ("", *(f".{part}" for part in _PARTS))
)
"""The names under which a tenant may give texts of its own: ``reset``, ``reset.subject``, ``reset.button`` …"""

_FIELD = re.compile(r"\{([a-z_]{1,32})\}")


@dataclass(frozen=True, slots=True)
class Wording:
    """One letter's texts, with their fields still in them. ``language`` is None where the tenant chose the words."""

    subject: str
    button: str
    body: str
    language: str | None = LANGUAGE


class Wordings:
    """Every letter's built-in wording, read once."""

    def __init__(self) -> None:
        folder = files("gateway.mail") / "texts"
        self._built_in = {
            name: _parsed((folder / f"{name}.txt").read_text(encoding="utf-8")) for name in get_args(TextName)
        }

    def of(self, name: TextName, own: Mapping[str, str]) -> Wording:
        """A letter's texts: the tenant's ``own`` (see ``OWN_TEXTS``) in place of the built-in ones."""
        built_in = self._built_in[name]
        subject, button, body = (own.get(key, "").strip() for key in (f"{name}.subject", f"{name}.button", name))
        return Wording(
            subject or built_in.subject,
            button or built_in.button,
            body or built_in.body,
            None if subject or button or body else built_in.language,
        )


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every ``{name}`` that ``values`` knows replaced by its value."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)


def _parsed(text: str) -> Wording:
    head, _, body = text.partition("\n\n")
    parts = dict(line.split(": ", 1) for line in head.splitlines())
    return Wording(parts["Subject"], parts["Button"], body.strip())

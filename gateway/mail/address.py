"""What a letter's parts may look like before they reach a header or a server (RFC 5322, RFC 5321 section 4.1.2)."""

import re

from tenants.errors import InvalidValue
from tenants.user_names import address_key

_SPECIALS = re.compile(r"[()<>\[\]:;@\\,\"]|=\?")  # RFC 5322 section 3.2.3 without the dot; RFC 2047's beginning
_LONGEST_NAME = 64
_LONGEST_HEADER = 200


class Unwritable(Exception):
    """A letter cannot be made of this; ``str`` says which part, and never what stands in it."""


class UnwritableSender(Exception):
    """What letters of this tenant come from is no address. Somebody may mend that, and the letter can be written."""


def mailbox(address: str) -> str:
    """The address, where a letter can go there: only those of a form that an account can have (``address_key``).

    Raises:
        Unwritable: it is none, or carries what would end a line or an argument.
    """
    try:
        address_key(address)
    except InvalidValue as error:
        raise Unwritable("an address is none") from error
    return address


def line(name: str, text: str) -> str:
    """The text, where it is one line without control characters.

    Raises:
        Unwritable: naming the part.
    """
    if not text.isprintable():
        raise Unwritable(f"{name} has a control character")
    return text


def shown(text: str) -> str:
    """The text without what is no plain sign."""
    return "".join(sign for sign in text if sign.isprintable()).strip()


def header_text(text: str) -> str:
    """A header's text from what may have been typed over several lines: one line, and nothing that would be decoded."""
    return shown(" ".join(text.replace("=?", "= ?").split()))[:_LONGEST_HEADER]


def display_name(name: str) -> str:
    """The name beside an address, without what has a meaning there.

    To quote it would do, but Python's ``email`` drops the quotes of a name that it has to fold, and a name such as
    ``x <a@b>, ...`` would then be a second sender.
    """
    return header_text(" ".join(_SPECIALS.sub(" ", name).split())[:_LONGEST_NAME])

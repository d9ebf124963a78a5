"""What may be a user's name or email address, and the keys by which both are found whatever their spelling.

A name is a PRECIS UsernameCaseMapped (RFC 8265 section 3.3), or an address: ASCII dot-atom and domain (RFC 5321
section 4.1.2 without its quoted forms), Unicode domains as A-labels. Of what PRECIS allows it refuses what cannot be
told from another name by looking: joiners, piled marks, mixed scripts, a dot at an end.

The key is NFKC and case-folded (Unicode TR 31 NFKC_Casefold; the ignorable characters that it would drop are refused).
``name_key`` and ``address_key`` judge what is to be stored; ``look_up_key`` is for what somebody typed, and finds the
names of before these rules too. Whoever counts attempts on a name counts by ``look_up_key``, else each spelling would
have a count of its own.
"""

import re
import unicodedata

from precis_i18n import get_profile

from tenants.errors import InvalidValue
from tenants.scripts import mixes_scripts, piles_marks

LONGEST = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
_LONGEST_KEY = 762  # a compatibility character may unfold into eighteen others
_LONGEST_LOCAL_PART = 64
_REFUSED_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_INVISIBLE = frozenset(  # Default_Ignorable_Code_Point (UAX 44) outside of those categories, and the empty braille cell
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
_USERNAME = get_profile("UsernameCaseMapped")
_PLAIN = re.compile(rf"(?!\.)[!-?A-~]{{1,{LONGEST}}}(?<!\.)")
"""Visible ASCII without an at sign: allowed by PRECIS as it is, and nothing but its case to fold."""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")
_WHY = {
    "spaces": "a user name has no spaces",
    "has_compat": "a user name has no ligatures or other compatibility characters",
    "bidi_rule": "a user name does not mix writing directions",
    "empty": "a user name needs a visible character",
}


def name_key(name: str) -> str:
    """The key of a name that is to be stored.

    Raises:
        InvalidValue: it cannot be a name; with the rule.
    """
    return name.lower() if _PLAIN.fullmatch(name) else checked_key(name)


def checked_key(name: str) -> str:
    """What ``name_key`` says, by the rule in full: PRECIS alone takes ten times as long for plain names."""
    key = look_up_key(name)
    if key is None:
        raise InvalidValue(
            f"a user name has 1 to {LONGEST} characters, none of them a control or invisible, and no space at its ends"
        )
    if "@" in key:
        return address_key(name)
    try:
        _USERNAME.enforce(name)
    except UnicodeEncodeError as error:
        why = _WHY.get(error.reason.partition("/")[2], "a user name has letters, digits and the signs of a keyboard")
        raise InvalidValue(f"{why} (RFC 8265)") from error
    if key.startswith(".") or key.endswith("."):
        raise InvalidValue("a user name has no dot at its ends")
    if mixes_scripts(key):
        raise InvalidValue("a user name does not mix scripts that look alike, as Latin and Cyrillic")
    if piles_marks(key):
        raise InvalidValue("a user name does not pile up marks on one letter")
    return key


def address_key(address: str) -> str:
    """The key of an email address that is to be stored.

    Raises:
        InvalidValue: it cannot be an address; with the rule.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address) > LONGEST or len(found[1]) > _LONGEST_LOCAL_PART:
        raise InvalidValue(
            "an email address is ASCII, as in alice@example.com, without quotes or a dot at its end; a domain "
            "of other letters in its xn-- form"
        )
    return address.lower()


def look_up_key(typed: str) -> str | None:
    """The key to look up for what somebody typed, be it a name or an address; None for what is nobody's."""
    if not 0 < len(typed) <= LONGEST or typed != typed.strip() or any(map(_is_unseen, typed)):
        return None
    key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).casefold())
    return key if key.strip() and len(key) <= _LONGEST_KEY else None


def is_address_key(key: str) -> bool:
    """Whether this is the key of an address: no other name has an at sign."""
    return "@" in key


def _is_unseen(character: str) -> bool:
    return character in _INVISIBLE or unicodedata.category(character) in _REFUSED_CATEGORIES

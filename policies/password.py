"""What may be a password at all: text, NFC, at most 1,024 bytes of UTF-8, never truncated (RFC 8265 section 4.2 in
spirit).

Owns the normal form and the length rules. Not the hash (tenants/hashing.py), not breach look-ups.
"""

import unicodedata
from dataclasses import dataclass, field

MAX_BYTES = 1024
MIN_LENGTH = 8
"""Code points after NFC (NIST SP 800-63B section 5.1.1.2). A rule for setting a password, never for checking one."""

_MAX_CHARACTERS = 4 * MAX_BYTES
"""At most four code points compose to one, so what is longer than this is over ``MAX_BYTES`` in NFC too, and need not
be normalised.
"""


@dataclass(frozen=True, slots=True)
class Password:
    """A password in its normal form."""

    text: str = field(repr=False)

    def encoded(self) -> bytes:
        """The bytes that are hashed."""
        return self.text.encode()


@dataclass(frozen=True, slots=True)
class Unacceptable:
    """Not a password. ``reason`` is a stable snake_case code."""

    reason: str


def normalise(text: str) -> Password | Unacceptable:
    """The password that ``text`` stands for, as it is set and checked. The empty one is a password here: a check of it
    costs what any costs.

    Reasons: ``password_too_long``, ``password_not_text`` (a lone surrogate), ``password_has_nul``.
    """
    if len(text) > _MAX_CHARACTERS:
        return Unacceptable("password_too_long")
    if "\0" in text:
        return Unacceptable("password_has_nul")
    normal = unicodedata.normalize("NFC", text)
    try:
        size = len(normal.encode())
    except UnicodeEncodeError:
        return Unacceptable("password_not_text")
    if size > MAX_BYTES:
        return Unacceptable("password_too_long")
    return Password(normal)


def for_setting(text: str, *, min_length: int = MIN_LENGTH) -> Password | Unacceptable:
    """The password that ``text`` stands for, if it may be set; adds the reason ``password_too_short``."""
    password = normalise(text)
    if isinstance(password, Password) and len(password.text) < min_length:
        return Unacceptable("password_too_short")
    return password

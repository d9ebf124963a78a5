"""What may be a password at all: text, NFC, at most 1,024 bytes of UTF-8, never truncated (RFC 8265 section 4.2 in
spirit); and what may be set as one (NIST SP 800-63B-4 section 3.1.1.2): long enough, not what is tried first, not made
of names that everybody knows. No rule of composition.

Owns the normal form and these rules. Not the hash (tenants/hashing.py), not the list (tenants/common_passwords.py), not
breach look-ups.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field

MAX_BYTES = 1024
LEAST_MIN_LENGTH, MOST_MIN_LENGTH = 8, 64
"""What a tenant may set, in code points after NFC. A rule for setting a password, never for checking one."""

_WITH_SECOND_FACTOR, LEAST_ALONE = 8, 15
_SHORTEST_RUN = 4
_LONGEST_SEPARATOR = 2
_KEYBOARD = "1234567890 qwertyuiop asdfghjkl zxcvbnm"
_WORD = re.compile(r"[^\W_]+")
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


@dataclass(frozen=True, slots=True)
class PasswordRule:
    """What is asked of one person's new password.

    ``own_words``: the tenant's name and slug, the user's name, their address or its local part. ``common``: case-folded
    passwords that are tried first.
    """

    min_length: int
    own_words: tuple[str, ...]
    common: Container[str]


def least_length(setting: int | None, *, second_factor: bool) -> int:
    """How long a password must be; the tenant's setting stands above NIST's two numbers."""
    if setting is not None:
        return setting
    return _WITH_SECOND_FACTOR if second_factor else LEAST_ALONE


def stands_alone(password: Password, setting: int | None) -> bool:
    """Whether it is long enough for a user without a second factor."""
    return len(password.text) >= least_length(setting, second_factor=False)


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


def for_setting(text: str, rule: PasswordRule) -> Password | Unacceptable:
    """The password that ``text`` stands for, if this rule lets it be set.

    Reasons: those of ``normalise``, ``password_too_short``, ``password_common``, ``password_own_name``.
    """
    password = normalise(text)
    if isinstance(password, Unacceptable):
        return password
    if len(password.text) < rule.min_length:
        return Unacceptable("password_too_short")
    folded = _folded(password.text)
    if _is_own(folded, rule.own_words):
        return Unacceptable("password_own_name")
    if any(_is_common(spelling, rule.common) for spelling in {password.text.casefold(), folded}):
        return Unacceptable("password_common")
    return password


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_common(text: str, common: Container[str]) -> bool:
    """Tried early: a listed password, one with figures or signs around it, or what has hardly any characters once its
    runs ("1234", "aaaa", "qwerty") and repetitions are taken out.

    At fifteen characters the bare list would find next to nothing: few on it are that long.
    """
    essence = _without_runs(text)
    if len(essence) < min(len(text), LEAST_MIN_LENGTH):
        return True
    if any(core in common for spelling in {text, essence} for core in _cores(spelling)):
        return True
    periods = [period for core in _repetitive_cores(text) if (period := _period(core)) is not None]
    period = min(periods, key=len, default=None)
    return period is not None and (len(period) < LEAST_MIN_LENGTH or _is_common(period, common))


def _is_own(text: str, own_words: tuple[str, ...]) -> bool:
    """Made of own words alone: beside them there are no letters, and beside a number of one's own no other figures."""
    pieces = {piece for word in own_words for piece in _WORD.findall(_folded(word))}
    rest = text
    for piece in sorted(pieces, key=lambda piece: (-len(piece), piece)):
        rest = rest.replace(piece, "\0")  # not the empty string: what is left must not grow together
    if rest == text:
        return False
    only_numbers = not any(piece in text for piece in pieces if not piece.isdecimal())
    return not any(character.isalnum() if only_numbers else character.isalpha() for character in rest)


def _without_runs(text: str) -> str:
    kept: list[str] = []
    start = 0
    while start < len(text):
        end = max(_end_of_run(text, start, place) for place in (ord, _place_on_keyboard))
        if end - start < _SHORTEST_RUN:
            kept.append(text[start])
            end = start + 1
        start = end
    return "".join(kept)


def _end_of_run(text: str, start: int, place: Callable[[str], int]) -> int:
    """Where neighbours in one direction, or one character again and again, end."""
    step: int | None = None
    for index in range(start + 1, len(text)):
        this = place(text[index]) - place(text[index - 1])
        if abs(this) > 1 or step not in (None, this):
            return index
        step = this
    return len(text)


def _place_on_keyboard(character: str) -> int:
    place = _KEYBOARD.find(character)
    return place if place >= 0 and character != " " else 2 * len(_KEYBOARD) + 2 * ord(character)


def _cores(text: str) -> Iterator[str]:
    """The text itself and without some of the figures and signs at its ends."""
    letters = [index for index, character in enumerate(text) if character.isalpha()]
    first, last = (letters[0], letters[-1]) if letters else (0, len(text) - 1)
    for start in {0, first}:
        for end in range(last + 1, len(text) + 1):
            yield text[start:end]


def _repetitive_cores(text: str) -> set[str]:
    """Where to look for a repetition: the text, and what is most of it without the figures and signs at its ends."""
    letters = [index for index, character in enumerate(text) if character.isalpha()]
    if not letters:
        return {text}
    ended = letters[-1] + 1
    cores = {text[:ended], text[letters[0] : ended]}
    return {text} | {core for core in cores if len(core) >= LEAST_MIN_LENGTH or 2 * len(core) > len(text)}


def _period(text: str) -> str | None:
    """What ``text`` repeats, twice or more and perhaps cut at its end; the shortest. The second time may lack the signs
    that separate it from a third. Knuth, Morris and Pratt's table of borders finds it in one pass.
    """
    borders = [0] * len(text)  # of each beginning: how long a shorter beginning of it is its end as well
    for index in range(1, len(text)):
        border = borders[index - 1]
        while border and text[index] != text[border]:
            border = borders[border - 1]
        borders[index] = border + (text[index] == text[border])
    again = borders[-1] if borders else 0
    length = len(text) - again
    lacking = text[again:length]
    if not again or len(lacking) > _LONGEST_SEPARATOR or any(character.isalnum() for character in lacking):
        return None
    return text[:length]

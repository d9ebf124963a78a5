"""Which writing systems a text mixes: the "highly restrictive" level of UTS 39 section 5.2, and its section 5.4.

Python knows no Script property, but a character's name begins with its script's. Owns no rule for what a name is
(user_names.py), and does not find a whole word of one script that looks like a word of another.
"""

import unicodedata
from collections.abc import Iterator

_COMMON = ""
# Names that begin with something else than a script: letters and marks that go with any script …
_OF_NO_SCRIPT = frozenset(
    {"CARON", "COMBINING", "MIDDLE", "MODIFIER", "MUSICAL", "PHAISTOS", "VEDIC", "VERTICAL", "ZERO"}
)
# … and those of a script that has another name.
_ALIASES = {
    "ARABIC-INDIC": "ARABIC",
    "EXTENDED": "ARABIC",
    "HENTAIGANA": "HIRAGANA",
    "IDEOGRAPHIC": "CJK",
    "KATAKANA-HIRAGANA": "KATAKANA",
    "MASU": "CJK",
    "ROMAN": "LATIN",
    "TURNED": "LATIN",
    "VIETNAMESE": "CJK",
}
_MARKS_OF_ONE_SCRIPT = frozenset({"CYRILLIC", "GLAGOLITIC"})
_FAMILIES = frozenset({"INSCRIPTIONAL", "LINEAR", "OLD", "TAI"})  # Old Italic and Old Turkic are two scripts
_WRITTEN_TOGETHER = (  # in Japan, Taiwan and Korea
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
_MOST_MARKS = 4


def mixes_scripts(text: str) -> bool:
    """Whether letters, digits or marks are of scripts that nobody writes together, as Latin and Cyrillic."""
    found = {script for script in map(_script, text) if script != _COMMON}
    return len(found) > 1 and not any(found <= together for together in _WRITTEN_TOGETHER)


def piles_marks(text: str) -> bool:
    """Whether a letter bears one mark twice, which cannot be told from once, or more marks than any language needs."""
    pile = 0
    for character, before in _with_the_one_before(unicodedata.normalize("NFD", text)):
        pile = pile + 1 if unicodedata.category(character) == "Mn" else 0
        if pile > _MOST_MARKS or (pile > 1 and character == before):
            return True
    return False


def _with_the_one_before(text: str) -> Iterator[tuple[str, str]]:
    return zip(text, ("", *text), strict=False)


def _script(character: str) -> str:
    if character.isascii():
        return "LATIN" if character.isalpha() else _COMMON
    # Blocks without names are one script each, and all of them are of characters that stand beside no other script's.
    first, *others = unicodedata.name(character, "UNNAMED").split()
    if first == "COMBINING" and others[0] in _MARKS_OF_ONE_SCRIPT:
        return others[0]
    if first in _OF_NO_SCRIPT:
        return _COMMON
    if first in _FAMILIES:
        return f"{first} {others[0]}"
    return _ALIASES.get(first, first)

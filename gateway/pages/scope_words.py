"""What a scope lets an application do, as a person reads it who is to allow that."""

from collections.abc import Iterable, Mapping

_WORDS: Mapping[str, str] = {
    "openid": "Know who you are",
    "profile": "Your name",
    "email": "Your email address",
    "groups": "The groups that you are in",
    "roles": "The roles that you have",
    "offline_access": "Stay connected while you are away",
}


def in_words(scopes: Iterable[str]) -> list[str]:
    """Those of OpenID Connect in words and in the order above; an API's own by the name that its owner gave, after
    them.
    """
    found = frozenset(scopes)
    return [words for scope, words in _WORDS.items() if scope in found] + sorted(found - _WORDS.keys())

"""What a browser says of itself (``User-Agent``, RFC 9110 section 10.1.5), in a few words for its owner.

A person is to know their own devices again, no more: versions and rare systems are left out. Anybody can send any
text, so it is a hint and never a fact, and of what it says only our own words and one plain token are shown.
"""

import re

_BROWSERS = (  # the first that is found: nearly all of them claim to be Chrome and Safari as well
    ("Edge", ("Edg/", "EdgA/", "EdgiOS/", "Edge/")),
    ("Opera", ("OPR/", "OPT/", "OPX/", "Opera")),
    ("Samsung Internet", ("SamsungBrowser/",)),
    ("Vivaldi", ("Vivaldi/",)),
    ("Yandex Browser", ("YaBrowser/",)),
    ("DuckDuckGo", ("DuckDuckGo/", "Ddg/")),
    ("Firefox", ("Firefox/", "FxiOS/")),
    ("Chrome", ("Chrome/", "CriOS/", "Chromium/")),
    ("Internet Explorer", ("Trident/", "MSIE ")),
    ("Safari", ("Safari/",)),
)
_SYSTEMS = (  # phones say that they are like a Mac, or that they are a Linux
    ("iPhone", ("iPhone", "iPod")),
    ("iPad", ("iPad",)),
    ("Android", ("Android",)),
    ("Windows", ("Windows",)),
    ("ChromeOS", ("CrOS",)),
    ("Mac", ("Macintosh", "Mac OS X")),
    ("Linux", ("Linux", "X11")),
)
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,39})(?:/|\Z)")
UNKNOWN = "Unknown device"


def summary(user_agent: str) -> str:
    """``Firefox on Linux``; ``curl`` for a program that is no browser; ``Unknown device`` for what says neither."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser is not None:
        return browser if system is None else f"{browser} on {system}"
    product = _PRODUCT.match(user_agent)
    if product is not None and product[1] != "Mozilla":
        return product[1]
    return UNKNOWN if system is None else f"Browser on {system}"


def _first(table: tuple[tuple[str, tuple[str, ...]], ...], text: str) -> str | None:
    return next((name for name, signs in table if any(sign in text for sign in signs)), None)

"""The pages' own files: one style sheet for all tenants, one of colours for each, an icon, a script of one line.

Each has a version made of its content. Pages name it in the address, so that browsers may keep the file for good and
still see a change at once.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from gateway.pages import colour
from gateway.pages.colour import Rgb

_PARTS = ("tokens.css", "page.css", "layout.css", "form.css", "content.css")
_BRANDS_REMEMBERED = 1024

# Surfaces of tokens.css: (page, card) of each scheme. A test holds the two files together.
LIGHT = (colour.parse("#f3f4f6"), colour.WHITE)
DARK = (colour.parse("#101318"), colour.parse("#191d24"))
DEFAULT_ACCENT = "#2b5fd0"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as it is sent. ``version`` changes whenever ``body`` does."""

    media_type: str
    body: bytes
    version: str


def page_sheet() -> Sheet:
    """The style sheet of all pages."""
    return _sheet("text/css", "\n".join(_read(part) for part in _PARTS))


def icon() -> Sheet:
    """What a tenant without a logo has in its tab: a yett. This SVG is ours; a tenant's would not be taken."""
    return _sheet("image/svg+xml", _read("icon.svg"))


def form_script() -> Sheet:
    """Sends the form of a page that is nothing else (OAuth 2.0 Form Post Response Mode)."""
    return _sheet("text/javascript", _read("form_post.js"))


@lru_cache(maxsize=_BRANDS_REMEMBERED)
def brand_sheet(accent: str | None) -> Sheet:
    """A tenant's colours as custom properties, for both colour schemes; ``accent`` is ``#rrggbb`` or the default."""
    fill = colour.parse(accent or DEFAULT_ACCENT)
    on_accent = colour.text_on(fill)
    away_from_text = colour.BLACK if on_accent == colour.WHITE else colour.WHITE
    light = {
        "accent": fill,
        "on-accent": on_accent,
        "accent-hover": colour.mixed(fill, away_from_text, 0.16),
        **_on(LIGHT, fill),
    }
    dark = _on(DARK, fill)
    return _sheet("text/css", f"{_rule(light)}\n@media (prefers-color-scheme: dark) {{{_rule(dark)}}}\n")


def _on(surfaces: tuple[Rgb, Rgb], accent: Rgb) -> dict[str, Rgb]:
    """What is drawn or written in the accent on these surfaces."""
    return {
        "accent-edge": colour.distinct(accent, surfaces, colour.EDGE_CONTRAST),
        "link": colour.distinct(accent, surfaces, colour.TEXT_CONTRAST),
    }


def _rule(properties: dict[str, Rgb]) -> str:
    declared = " ".join(f"--{name}: {colour.written(value)};" for name, value in properties.items())
    return f":root {{{declared}}}"


def _read(name: str) -> str:
    return resources.files("gateway.pages").joinpath("static", name).read_text(encoding="utf-8")


def _sheet(media_type: str, text: str) -> Sheet:
    body = text.encode()
    return Sheet(media_type, body, hashlib.sha256(body).hexdigest()[:16])

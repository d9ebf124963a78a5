"""Colours of a brand made readable: relative luminance and contrast as WCAG 2.2 defines them.

A tenant names one accent; whether people can read what is written in it or on it is ours to see to.
"""

import colorsys
from collections.abc import Iterable

Rgb = tuple[int, int, int]

BLACK: Rgb = (0, 0, 0)
WHITE: Rgb = (255, 255, 255)
TEXT_CONTRAST = 4.5  # WCAG 1.4.3
EDGE_CONTRAST = 3.0  # WCAG 1.4.11: what shows where a control is
_STEPS = 64


def parse(colour: str) -> Rgb:
    """``#rrggbb``, checked where it was stored."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def written(colour: Rgb) -> str:
    """As ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def contrast(one: Rgb, other: Rgb) -> float:
    """From 1 (the same) to 21 (black on white)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def text_on(colour: Rgb) -> Rgb:
    """White where that can be read, else black: one of the two always can."""
    return WHITE if contrast(WHITE, colour) >= TEXT_CONTRAST else BLACK


def mixed(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """``colour`` with this share (0 to 1) of the other in it."""
    red, green, blue = (round(mine + (theirs - mine) * share) for mine, theirs in zip(colour, other, strict=True))
    return red, green, blue


def distinct(colour: Rgb, surfaces: Iterable[Rgb], ratio: float) -> Rgb:
    """The nearest shade of the colour (same hue and saturation) that has this contrast on every one of the surfaces.

    Darker where the surfaces are light, lighter where they are dark; at the end of that way stands black or white.
    """
    grounds = tuple(surfaces)
    end = max(BLACK, WHITE, key=lambda pole: min(contrast(pole, ground) for ground in grounds))
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in colour))
    for step in range(_STEPS):
        lit = lightness + (end[0] / 255 - lightness) * step / _STEPS
        red, green, blue = (round(channel * 255) for channel in colorsys.hls_to_rgb(hue, lit, saturation))
        if all(contrast((red, green, blue), ground) >= ratio for ground in grounds):
            return red, green, blue
    return end


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4

"""Whatever colour a tenant picks, its pages can be read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pages import colour
from gateway.pages.colour import BLACK, WHITE, contrast, distinct, parse, text_on, written
from gateway.pages.stylesheets import DARK, DEFAULT_ACCENT, LIGHT, brand_sheet, icon, page_sheet

channels = st.integers(0, 255)
colours = st.tuples(channels, channels, channels)


def declared(css: str, name: str) -> list[str]:
    return re.findall(rf"--{name}: (#[0-9a-f]{{6}});", css)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
        ("#336699", "#336699", 1.0),
    ],
)
def test_contrast_is_wcags(one: str, other: str, expected: float) -> None:
    assert contrast(parse(one), parse(other)) == pytest.approx(expected, abs=0.005)


@given(colours)
def test_a_colour_is_written_as_it_is_read(value: colour.Rgb) -> None:
    assert parse(written(value)) == value


@given(colours)
def test_text_on_the_accent_can_be_read(accent: colour.Rgb) -> None:
    assert text_on(accent) in (BLACK, WHITE)
    assert contrast(text_on(accent), accent) >= 4.5


@given(colours, st.sampled_from([LIGHT, DARK]), st.sampled_from([3.0, 4.5]))
def test_a_shade_for_a_surface_is_distinct_on_all_of_them(
    accent: colour.Rgb, surfaces: tuple[colour.Rgb, colour.Rgb], ratio: float
) -> None:
    shade = distinct(accent, surfaces, ratio)

    assert all(contrast(shade, surface) >= ratio for surface in surfaces)
    if all(contrast(accent, surface) >= ratio for surface in surfaces):
        assert shade == pytest.approx(accent, abs=1)


@given(colours)
def test_a_brands_links_edges_and_buttons_can_be_seen_in_both_schemes(accent: colour.Rgb) -> None:
    css = brand_sheet(written(accent)).body.decode()

    for name, ratio in (("link", 4.5), ("accent-edge", 3.0)):
        for shade, surfaces in zip(declared(css, name), (LIGHT, DARK), strict=True):
            assert all(contrast(parse(shade), surface) >= ratio for surface in surfaces)
    (text,) = declared(css, "on-accent")
    for fill in declared(css, "accent") + declared(css, "accent-hover"):
        assert contrast(parse(text), parse(fill)) >= 4.5


def test_a_brand_is_nothing_but_custom_properties() -> None:
    css = brand_sheet("#ffd400").body.decode()

    assert re.fullmatch(r"(?:[\s{}]|:root|@media \(prefers-color-scheme: dark\)|--[a-z-]+: #[0-9a-f]{6};)*", css)


def test_the_style_sheet_stands_on_the_same_colours() -> None:
    css = page_sheet().body.decode()
    light, _, dark = css.partition("@media (prefers-color-scheme: dark)")
    dark = dark.partition("@media")[0]
    light = light.partition("@media")[0]

    for text, surfaces in ((light, LIGHT), (dark, DARK)):
        assert declared(text, "page") == [written(surfaces[0])]
        assert declared(text, "card") == [written(surfaces[1])]
    brand = brand_sheet(None).body.decode()
    assert brand == brand_sheet(DEFAULT_ACCENT).body.decode()
    for name in ("accent", "on-accent", "accent-hover", "accent-edge", "link"):
        assert declared(light, name) + declared(dark, name) == declared(brand, name), name


def test_the_style_sheet_loads_nothing() -> None:
    css = page_sheet().body.decode()

    assert "url(" not in css
    assert "@import" not in css
    assert "expression(" not in css


def test_a_version_follows_the_content() -> None:
    assert brand_sheet("#ffd400").version != brand_sheet("#ffd401").version
    assert page_sheet() == page_sheet()
    assert b"<script" not in icon().body

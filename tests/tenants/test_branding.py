"""What a tenant may brand: a colour, a line of plain text, an image that is one."""

import io
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenants.branding import LARGEST_LOGO, LONGEST_LOGO_SIDE, Branding, Logo
from tenants.errors import InvalidValue
from tenants.store import Store
from tenants.tenant import Tenant


def an_image(kind: str, width: int = 40, height: int = 30, mode: str = "RGB", **options: object) -> bytes:
    written = io.BytesIO()
    Image.new(mode, (width, height)).save(written, kind, **options)
    return written.getvalue()


PNG, JPEG, WEBP = an_image("PNG"), an_image("JPEG"), an_image("WEBP")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!doctype html><script>alert(1)</script>"


# --- colours and text


@pytest.mark.parametrize("accent", ["#000000", "#ffffff", "#2b5fd0", "#ABCDEF"])
def test_a_colour_is_six_hexadecimal_digits(accent: str) -> None:
    assert Branding().checked(accent=accent).accent == accent.lower()


@pytest.mark.parametrize(
    "accent",
    [
        "",
        "red",
        "#fff",
        "#fffffff",
        "2b5fd0",
        "#2b5fd0\n",
        " #2b5fd0",
        "#2b5fd0;",
        "#２b5fd0",
        "#gggggg",
        "rgb(1,2,3)",
        "#2b5fd0;}body{display:none",
        "var(--text)",
        "url(https://evil.test)",
    ],
)
def test_nothing_else_is_a_colour(accent: str) -> None:
    with pytest.raises(InvalidValue, match="#rrggbb"):
        Branding().checked(accent=accent)


def test_a_tagline_names_the_tenant() -> None:
    branding = Branding().checked(tagline="All that {tenant} makes; {tenant} since 1999.")

    assert branding.tagline_for("Acme") == "All that Acme makes; Acme since 1999."
    assert Branding().tagline_for("Acme") is None


@pytest.mark.parametrize("name", ["{tenant}", r"\1 \g<0>", "{slug}", "<b>", "{{ 7 * 7 }}"])
def test_a_name_is_filled_in_as_it_is(name: str) -> None:
    assert Branding().checked(tagline="By {tenant}.").tagline_for(name) == f"By {name}."


@pytest.mark.parametrize(
    "tagline",
    [
        "",
        "x" * 201,
        "{name}",
        "{}",
        "{tenant",
        "tenant}",
        "{{tenant}}",
        "{tenant.__class__}",
        "{tenant!r}",
        "{ tenant }",
        "{% if %}",
        "two\nlines",
        "nul\0",
        "right\u202eleft",
    ],
)
def test_a_tagline_is_one_line_with_no_other_field(tagline: str) -> None:
    with pytest.raises(InvalidValue, match="tagline"):
        Branding().checked(tagline=tagline)


def test_what_is_not_named_is_kept_and_none_is_the_default() -> None:
    branding = Branding().checked(accent="#112233", tagline="Hello")

    assert branding.checked(tagline="Bye") == Branding("#112233", "Bye")
    assert branding.checked(accent=None) == Branding(None, "Hello")


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InvalidValue, match="template"):
        Branding().checked(template="<b>")


@pytest.mark.parametrize("version", ["", "logo.svg", "../x", "A" * 16, "0" * 15])
def test_a_logo_is_named_by_its_version(version: str) -> None:
    with pytest.raises(InvalidValue, match="logo"):
        Branding().checked(logo=version)


@pytest.mark.parametrize(
    "branding", [Branding(), Branding("#112233"), Branding("#112233", "Hello", "0123456789abcdef")]
)
def test_it_is_stored_as_what_differs_and_read_back(branding: Branding) -> None:
    assert Branding.from_stored(branding.stored()) == branding
    assert None not in branding.stored().values()


def test_what_nobody_stored_is_not_read() -> None:
    with pytest.raises(TypeError):
        Branding.from_stored({"colour": "#112233"})


# --- images


@pytest.mark.parametrize(
    ("image", "media_type"),
    [
        (PNG, "image/png"),
        (an_image("PNG", mode="P"), "image/png"),
        (an_image("PNG", mode="RGBA", width=LONGEST_LOGO_SIDE, height=1), "image/png"),
        (JPEG, "image/jpeg"),
        (an_image("JPEG", progressive=True), "image/jpeg"),
        (an_image("JPEG", mode="L"), "image/jpeg"),
        (an_image("JPEG", comment=b"made by hand", dpi=(300, 300)), "image/jpeg"),
        (WEBP, "image/webp"),
        (an_image("WEBP", lossless=True), "image/webp"),
        (an_image("WEBP", mode="RGBA", lossless=True), "image/webp"),
        (an_image("WEBP", mode="RGBA", exif=b"Exif\0\0MM\0*"), "image/webp"),
    ],
)
def test_a_logo_is_a_png_a_jpeg_or_a_webp(image: bytes, media_type: str) -> None:
    logo = Logo.checked(image)

    assert (logo.media_type, logo.image) == (media_type, image)
    assert Branding().checked(logo=logo.version).logo == logo.version


@pytest.mark.parametrize(
    "image",
    [
        b"",
        SVG,
        b'<?xml version="1.0"?>' + SVG,
        HTML,
        an_image("GIF"),
        an_image("BMP"),
        an_image("TIFF"),
        an_image("ICO"),
        PNG + HTML,
        HTML + PNG,
        PNG + SVG,
        PNG + PNG,
        JPEG + HTML,
        HTML + JPEG,
        WEBP + HTML,
        b" " + PNG,
        PNG[:8],
        PNG[:8] + HTML,
        PNG[:-1],
        PNG[:33],
        JPEG[:3] + HTML,
        JPEG[:3] + HTML + JPEG[-2:],
        JPEG[:-2],
        JPEG[:20],
        b"\xff\xd8\xff\xd9",
        WEBP[:-1],
        WEBP[:30],
        b"RIFF" + (len(HTML) + 4).to_bytes(4, "little") + b"WEBP" + HTML,
        b"GIF89a/*" + HTML,
        b"%PDF-1.7",
        b"PK\x03\x04",
    ],
)
def test_nothing_else_is_a_logo_whatever_it_begins_or_ends_with(image: bytes) -> None:
    with pytest.raises(InvalidValue, match="PNG, JPEG or WebP"):
        Logo.checked(image)


def _png_of(width: int, height: int) -> bytes:
    """Sound in every checksum, only its header says another size."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + PNG[24:29]
    return PNG[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4, "big") + PNG[33:]


def _jpeg_of(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[at + 4 :]


def _webp_of(width: int, height: int) -> bytes:
    return WEBP[:26] + width.to_bytes(2, "little") + height.to_bytes(2, "little") + WEBP[30:]


@pytest.mark.parametrize("made_of", [_png_of, _jpeg_of, _webp_of])
@pytest.mark.parametrize("size", [(2001, 10), (10, 2001), (16383, 16383), (0, 10), (10, 0)])
def test_a_logo_has_sane_dimensions(made_of: Callable[[int, int], bytes], size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match="2000 pixels"):
        Logo.checked(made_of(*size))
    assert Logo.checked(made_of(2000, 2000))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_dimensions_are_read_from_the_image_itself(kind: str) -> None:
    with pytest.raises(InvalidValue, match="2000 pixels"):
        Logo.checked(an_image(kind, 2001, 8, mode="RGBA"))
    with pytest.raises(InvalidValue, match="2000 pixels"):
        Logo.checked(an_image(kind, 8, 2001, mode="RGBA"))


def test_a_logo_has_at_most_256_kib() -> None:
    def padded(size: int) -> bytes:
        text = b"tEXt" + b"a\0" + b"x" * (size - len(PNG) - 14)
        chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
        return PNG[:33] + chunk + PNG[33:]

    assert Logo.checked(padded(LARGEST_LOGO))
    with pytest.raises(InvalidValue, match="256 KiB"):
        Logo.checked(padded(LARGEST_LOGO + 1))


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", PNG[:8], PNG[:33], JPEG[:4], JPEG[:40], WEBP[:16]]),
    st.binary(max_size=12),
)
def test_garbage_is_refused_and_never_a_crash(middle: bytes, start: bytes, end: bytes) -> None:
    image = start + middle + end
    try:
        logo = Logo.checked(image)
    except InvalidValue:
        return
    assert logo.image == image


@given(st.sampled_from([PNG, JPEG, WEBP]), st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_is_never_a_crash(image: bytes, place: int, value: int) -> None:
    at = place % len(image)
    try:
        Logo.checked(image[:at] + bytes([value]) + image[at + 1 :])
    except InvalidValue:
        return


def test_a_version_follows_the_image() -> None:
    assert Logo.checked(PNG).version != Logo.checked(an_image("PNG", 41)).version
    assert Logo.checked(PNG) == Logo.of("image/png", PNG)


# --- the store


async def test_a_logo_is_stored_replaced_and_removed(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        assert await mine.logos.get() is None
        assert await mine.logos.remove() is False
        await mine.logos.set(Logo.checked(PNG))
        assert await mine.logos.get() == Logo.checked(PNG)
        await mine.logos.set(Logo.checked(WEBP))
    async with store.for_tenant(acme.id) as mine:
        assert await mine.logos.get() == Logo.checked(WEBP)
        assert await mine.logos.remove() is True
        assert await mine.logos.get() is None


async def test_a_logo_is_its_tenants_own(store: Store, acme: Tenant, globex: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.logos.set(Logo.checked(PNG))
    async with store.for_tenant(globex.id) as theirs:
        assert await theirs.logos.get() is None
        assert await theirs.logos.remove() is False
        await theirs.logos.set(Logo.checked(JPEG))
    async with store.for_tenant(acme.id) as mine:
        assert await mine.logos.get() == Logo.checked(PNG)


async def test_a_branding_is_kept_with_its_tenant(store: Store, acme: Tenant) -> None:
    branding = acme.branding.checked(accent="#112233", tagline="Hello from {tenant}")
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_branding(branding)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.settings.get() == replace(acme, branding=branding)

"""How a tenant's pages look: an accent colour, a line of text, a logo. Nothing of it can run anything.

Colours go by pattern, text is plain with ``{tenant}`` to fill in (never a template), and a logo is a PNG, JPEG or WebP
by its own bytes, never SVG or HTML. Owns the table of logos; the rest stands in the tenant's row.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import InvalidValue
from tenants.people_tables import logos

LARGEST_LOGO = 256 * 1024
LONGEST_LOGO_SIDE = 2000

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LONGEST_TAGLINE = 200
_FIELD = re.compile(r"\{([^{}]*)\}")
_FIELDS = frozenset({"tenant"})
_VERSION = re.compile(r"[0-9a-f]{16}")

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
# Start of frame: those markers that carry the size (ITU T.81 table B.1; C4, C8 and CC are something else).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA


@dataclass(frozen=True, slots=True)
class Branding:
    """``accent`` is ``#rrggbb``; ``tagline`` stands under the tenant's name; ``logo`` is the stored logo's version."""

    accent: str | None = None
    tagline: str | None = None
    logo: str | None = None

    def stored(self) -> dict[str, Any]:
        """Only what is set, as JSON."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Branding":
        """What ``stored`` wrote. Raises TypeError for a name that is none."""
        return cls(**stored)

    def checked(self, **changes: str | None) -> "Branding":
        """With these fields changed (None: back to the default), and all of them checked.

        Raises:
            InvalidValue: with the rule.
        """
        known = {entry.name for entry in fields(self)}
        if not changes.keys() <= known:
            raise InvalidValue(f"unknown fields of a branding: {', '.join(sorted(changes.keys() - known))}")
        lowered = {name: value.lower() if name == "accent" and value else value for name, value in changes.items()}
        branding = replace(self, **lowered)
        if branding.accent is not None and _COLOUR.fullmatch(branding.accent) is None:
            raise InvalidValue("a colour is #rrggbb")
        if branding.tagline is not None:
            _check_tagline(branding.tagline)
        if branding.logo is not None and _VERSION.fullmatch(branding.logo) is None:
            raise InvalidValue("a logo is named by the version that storing it gave")
        return branding

    def tagline_for(self, name: str) -> str | None:
        """The tagline with the tenant's name filled in, in one pass: what a name has of braces stays text."""
        return None if self.tagline is None else _FIELD.sub(lambda _: name, self.tagline)


@dataclass(frozen=True, slots=True)
class Logo:
    """An image that was looked at. ``version`` changes whenever the image does."""

    media_type: str
    image: bytes
    version: str

    @classmethod
    def checked(cls, image: bytes) -> "Logo":
        """What these bytes are, whatever somebody says that they are.

        Raises:
            InvalidValue: not one whole PNG, JPEG or WebP image, or too large.
        """
        if len(image) > LARGEST_LOGO:
            raise InvalidValue(f"a logo has at most {LARGEST_LOGO // 1024} KiB")
        for media_type, size_of in _READERS.items():
            size = size_of(image)
            if size is not None:
                if not all(0 < side <= LONGEST_LOGO_SIDE for side in size):
                    raise InvalidValue(f"a logo is at most {LONGEST_LOGO_SIDE} pixels wide and high")
                return cls.of(media_type, image)
        raise InvalidValue("a logo is one whole PNG, JPEG or WebP image, with nothing before or after it")

    @classmethod
    def of(cls, media_type: str, image: bytes) -> "Logo":
        """An image that was checked before."""
        return cls(media_type, image, hashlib.sha256(image).hexdigest()[:16])


class Logos:
    """One tenant's logo."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def get(self) -> Logo | None:
        """The logo, if there is one."""
        query = select(logos.c.media_type, logos.c.image).where(logos.c.tenant_id == self._tenant_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else Logo.of(row.media_type, row.image)

    async def set(self, logo: Logo) -> None:
        """Store it in place of what was there. Pages show it once the branding names its version as well."""
        insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgresql_insert
        row = {"media_type": logo.media_type, "image": logo.image, "changed_at": self._now}
        statement = insert(logos).values(tenant_id=self._tenant_id, **row)
        await self._connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=row))

    async def remove(self) -> bool:
        """Forget it; False where there was none."""
        removed = await self._connection.execute(delete(logos).where(logos.c.tenant_id == self._tenant_id))
        return bool(removed.rowcount)


def _check_tagline(text: str) -> None:
    if not 0 < len(text) <= _LONGEST_TAGLINE or not text.isprintable():
        raise InvalidValue(f"a tagline has 1 to {_LONGEST_TAGLINE} printable characters, in one line")
    unknown = set(_FIELD.findall(text)) - _FIELDS
    if unknown or not {"{", "}"}.isdisjoint(_FIELD.sub("", text)):
        raise InvalidValue("a tagline has no other field than {tenant}, and no brace beside that")


def _png_size(image: bytes) -> tuple[int, int] | None:
    """Width and height of one whole PNG (its chunks fill the file, IHDR is the first and IEND the last)."""
    if not image.startswith(_PNG):
        return None
    at, kinds = len(_PNG), list[bytes]()
    while at + 12 <= len(image) and kinds[-1:] != [b"IEND"]:
        length, kind = int.from_bytes(image[at : at + 4]), image[at + 4 : at + 8]
        kinds.append(kind)
        at += 12 + length  # length, kind and checksum around it
    if at != len(image) or kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or b"IDAT" not in kinds:
        return None
    return int.from_bytes(image[16:20]), int.from_bytes(image[20:24])


def _jpeg_size(image: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, from the first frame header that comes before its first scan."""
    if not image.startswith(_JPEG) or not image.endswith(_JPEG_END):
        return None
    at = 2
    while at + 9 <= len(image) and image[at] == 0xFF and image[at + 1] != _JPEG_SCAN:
        if image[at + 1] in _JPEG_FRAMES:
            return int.from_bytes(image[at + 7 : at + 9]), int.from_bytes(image[at + 5 : at + 7])
        at += 2 + int.from_bytes(image[at + 2 : at + 4])
    return None


def _webp_size(image: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP whose announced length is the file's (RFC 9649 section 2)."""
    if len(image) < 30 or image[:4] != b"RIFF" or image[8:12] != b"WEBP":
        return None
    if int.from_bytes(image[4:8], "little") + 8 != len(image):
        return None
    match image[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(image[24:27], "little"), 1 + int.from_bytes(image[27:30], "little")
        case b"VP8L" if image[20] == 0x2F:
            bits = int.from_bytes(image[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 " if image[23:26] == b"\x9d\x01\x2a":
            width, height = (int.from_bytes(image[at : at + 2], "little") for at in (26, 28))
            return width & 0x3FFF, height & 0x3FFF
    return None


_READERS = {"image/png": _png_size, "image/jpeg": _jpeg_size, "image/webp": _webp_size}

"""What one segment of a path may be: the kinds of ``{param}`` that a pattern can have, and which of them take it.

Every ``int`` and every ``uuid`` is a ``slug`` too, and no ``int`` is a ``uuid``. So a segment is of one of four
classes, and its class says all kinds that take it.
"""

import re
from enum import Enum


class Kind(Enum):
    """``{name:int}`` and the like; ``ANY`` is ``{name}``, which takes what is not empty."""

    INT = "int"
    UUID = "uuid"
    SLUG = "slug"
    ANY = ""


NARROW = frozenset({Kind.INT, Kind.UUID})

CLASSES: tuple[tuple[Kind, ...], ...] = (
    (Kind.ANY,),
    (Kind.SLUG, Kind.ANY),
    (Kind.INT, Kind.SLUG, Kind.ANY),
    (Kind.UUID, Kind.SLUG, Kind.ANY),
)
"""The kinds that take a segment which is not empty: those of its class."""

_INT = re.compile(r"[0-9]{1,18}")  # fits in 64 bits with a sign
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")  # RFC 9562 section 4
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # a DNS label, as a tenant's slug


def class_of(segment: str) -> int:
    """The class of a decoded segment that is not empty, as a place in ``CLASSES``."""
    if _SLUG.fullmatch(segment) is None:
        return 0
    if _INT.fullmatch(segment) is not None:
        return 2
    return 3 if _UUID.fullmatch(segment) is not None else 1

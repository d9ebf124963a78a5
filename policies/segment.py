"""What one segment of a path may be: the kinds of ``{param}`` that a pattern can have, and which of them take it.

Every ``int`` and every ``uuid`` is a ``slug`` too, and no ``int`` is a ``uuid``. So a segment is of one of a few
classes, and its class says all kinds that take it, and which it looks like to an API that is less strict.
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

Taken = tuple[Kind, ...]

_OF_SLUG: Taken = (Kind.SLUG, Kind.ANY)
_BOTH: Taken = (Kind.INT, Kind.UUID)
_NONE: Taken = ()

CLASSES: tuple[tuple[Taken, Taken], ...] = (
    ((Kind.ANY,), _NONE),
    (_OF_SLUG, _NONE),
    ((Kind.INT, *_OF_SLUG), _NONE),
    ((Kind.UUID, *_OF_SLUG), _NONE),
    ((Kind.ANY,), (Kind.INT,)),
    (_OF_SLUG, (Kind.INT,)),
    ((Kind.ANY,), (Kind.UUID,)),
    (_OF_SLUG, (Kind.UUID,)),
    ((Kind.ANY,), _BOTH),
    (_OF_SLUG, _BOTH),
)
"""By class: the kinds that take a segment, and those that it only looks like: an API may read it as one of them."""

_INT = re.compile(r"[0-9]{1,18}")  # fits in 64 bits with a sign
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")  # RFC 9562 section 4
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # a DNS label, as a tenant's slug

_LIKE_INT = re.compile(r"\s*[+-]?\d+(?:_\d+)*(?:\.0*)?\s*")  # what Python's int() takes, and Pydantic's
_LIKE_UUID = re.compile(r"[\da-f]{32}")  # what Python's UUID() takes, without the signs that it leaves out
_LENGTH_OF_A_UUID = range(32, 129)  # a longer segment is none to anybody


def class_of(segment: str) -> int:
    """The class of a decoded segment that is not empty, as a place in ``CLASSES``."""
    slug = _SLUG.fullmatch(segment) is not None
    if slug and _INT.fullmatch(segment) is not None:
        return 2
    if slug and _UUID.fullmatch(segment) is not None:
        return 3
    like_uuid = len(segment) in _LENGTH_OF_A_UUID and _LIKE_UUID.fullmatch(_bare(segment)) is not None
    if _LIKE_INT.fullmatch(segment) is not None:
        return (8 if like_uuid else 4) + slug
    return (6 if like_uuid else 0) + slug


def _bare(segment: str) -> str:
    return segment.lower().replace("urn:", "").replace("uuid:", "").strip("{}").replace("-", "")

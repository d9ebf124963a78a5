"""How much a route takes, as the file writes it: the size of a body, and how often whom."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema, core_schema

from gateway.settings.section import Section
from gateway.settings.units import WholeNumber, between, size
from policies.quota import UNITS, Per, Quota

UNLIMITED = "unlimited"
_MOST_REQUESTS = 1_000_000
_RATE = re.compile(rf"([1-9][0-9]{{0,6}})/({'|'.join(UNITS)})")


def _body_size(value: object) -> int | str:
    if value == UNLIMITED:
        return UNLIMITED
    try:
        return size(value)
    except ValueError as error:
        raise ValueError(f"{error}, or `{UNLIMITED}`") from None


@dataclass(frozen=True, slots=True)
class RequestRate:
    """``60/minute``."""

    requests: int
    unit: str

    @classmethod
    def parse(cls, value: object) -> "RequestRate":
        if isinstance(value, RequestRate):
            return value
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match[1]) > _MOST_REQUESTS:
            raise ValueError(f"must be a rate, as in 60/minute: 1 to {_MOST_REQUESTS} and {', '.join(UNITS)}")
        return cls(int(match[1]), match[2])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)

    def __str__(self) -> str:
        return f"{self.requests}/{self.unit}"


class Limit(Section):
    """``burst`` is how many may come at once; by default as many as the rate has."""

    per: Per
    rate: RequestRate
    burst: Annotated[WholeNumber, between(1, _MOST_REQUESTS)] | None = None

    @property
    def quota(self) -> Quota:
        return Quota(self.per, self.rate.requests, self.rate.unit, self.burst or self.rate.requests)


def _which(value: object) -> str:
    return "[several]" if isinstance(value, list | tuple) else "[one]"


BodySize = Annotated[int | Literal["unlimited"], BeforeValidator(_body_size)]
OneOrSeveral = Annotated[
    Annotated[Limit, Tag("[one]")] | Annotated[Annotated[tuple[Limit, ...], Field(min_length=1)], Tag("[several]")],
    Discriminator(_which),
]
"""A mapping, or a list of them. The tags stand in no message."""

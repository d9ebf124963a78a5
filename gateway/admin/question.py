"""What the admin API asks about a request that nobody sends, and what it is told. Who decides is not its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who would ask, by the facts of a verified token or an API key. ``audiences`` None: it is for the API that is
    asked. ``auth_age`` is in seconds. ``refused`` is why the token does not count, where it does not.
    """

    tenant: str
    subject: str
    client: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...] | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    auth_age: int | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    api_key: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is expected to be decided; what is None may be anything."""

    decision: str
    reason: str | None = None
    route: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request. ``asker`` None: without a token. ``address`` None: from no network. ``at`` is epoch seconds."""

    method: str
    url: str
    address: str | None
    at: float
    asker: Asker | None
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """``decision`` has the fields that the command line prints, ``rule`` the tree of the rule that was asked, None
    where it came to none; ``digest`` is of the configuration, ``failed`` what was wanted otherwise.
    """

    sentence: str
    decision: Mapping[str, Any]
    rule: Mapping[str, Any] | None
    digest: str
    failed: tuple[str, ...] = ()


class NotAsked(Exception):
    """The question is none. Its text says why."""


Explain = Callable[[Question], Told]
"""Raises NotAsked."""

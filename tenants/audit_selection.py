"""Which events of a log are wanted: by time, type, subject and severity. What was erased has no subject any more."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_

from policies.severity import LEVELS, Severity
from tenants.errors import InvalidValue
from tenants.tables import audit_events

_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)*(\.\*)?")


@dataclass(frozen=True, slots=True)
class Selection:
    """``since`` is the first moment, ``until`` the first one after. ``types`` are whole, or end with ``.*``.
    ``severity`` is the least.
    """

    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    subject: str | None = None
    severity: Severity | None = None

    def __post_init__(self) -> None:
        for type_ in self.types:
            if not _TYPE.fullmatch(type_):
                raise InvalidValue(f"{type_!r} is no type of event: as login.refused, or login.* for all below it")

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """All of them are so for what is wanted."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(audit_events.c.at >= self.since)
        if self.until is not None:
            found.append(audit_events.c.at < self.until)
        if self.types:
            found.append(or_(*(_of_type(type_) for type_ in self.types)))
        if self.subject is not None:
            found.append(audit_events.c.subject == self.subject)
        if self.severity is not None:
            # Said apart, since an index has those rows alone that have one.
            found += [audit_events.c.severity.is_not(None), audit_events.c.severity >= LEVELS.index(self.severity)]
        return found

    def told(self) -> Mapping[str, Any]:
        """As it is written into a file, for people."""
        fields: dict[str, Any] = {}
        if self.since is not None:
            fields["since"] = self.since.isoformat()
        if self.until is not None:
            fields["until"] = self.until.isoformat()
        if self.types:
            fields["types"] = list(self.types)
        if self.subject is not None:
            fields["subject"] = self.subject
        if self.severity is not None:
            fields["severity"] = self.severity
        return fields


EVERYTHING = Selection()


def _of_type(type_: str) -> ColumnElement[bool]:
    if type_.endswith(".*"):
        return audit_events.c.type.startswith(type_[:-1], autoescape=True)
    return audit_events.c.type == type_

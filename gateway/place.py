"""Where an address is, in words: looked up in a MaxMind database file (the mmdb format, City or Country schema).

The file is the operator's, and nothing is asked over the network. A place is a hint for somebody who looks at their own
sessions, or at what an account did; nobody is let in or refused by it.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import maxminddb
import structlog

from gateway.settings import ConfigError, Problem

_log = structlog.get_logger("yett.place")
_LANGUAGE = "en"
_LONGEST_NAME = 100
_CODE = re.compile("[A-Z]{2}")


class Places:
    """Look-ups in the file at ``path``; with None there is no file, and no place is known.

    It is mapped, not read: a new database has to be moved to its place and is used from the next start on.

    Raises:
        ConfigError: the file is no such database.
    """

    def __init__(self, path: Path | None) -> None:
        self._reader = None if path is None else _opened(path)

    def of(self, address: str) -> str:
        """``Berlin, Germany``, ``Germany``, or nothing for an address that the file does not know, as private ones."""
        record = self._record(address)
        names = (_name(record, "city"), _name(record, "country") or _name(record, "registered_country"))
        return ", ".join(name for name in names if name)

    def country(self, address: str) -> str | None:
        """``DE``: the code of ISO 3166-1. None for an address that the file does not know."""
        record = self._record(address)
        return _code(record, "country") or _code(record, "registered_country")

    def _record(self, address: str) -> object:
        if self._reader is None:
            return None
        try:
            parsed = ip_address(address)
        except ValueError:  # a session from before addresses were kept has none
            return None
        if parsed.version > self._reader.metadata().ip_version:
            return None
        try:
            return self._reader.get(parsed)
        except (maxminddb.InvalidDatabaseError, ValueError) as error:  # a damaged file costs a place, not a page
            _log.warning("geoip_database_damaged", error=str(error))
            return None


def _opened(path: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        why = "cannot be read" if isinstance(error, OSError) else "is no MaxMind database (mmdb)"
        raise ConfigError([Problem(str(path), None, "geoip_database", f"the file {why}")]) from error


def _name(record: Any, kind: str) -> str:
    """The English name of what the record says of this kind, if the record is of a schema that has it."""
    part = record.get(kind) if isinstance(record, dict) else None
    names = part.get("names") if isinstance(part, dict) else None
    name = names.get(_LANGUAGE) if isinstance(names, dict) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) else ""


def _code(record: Any, kind: str) -> str | None:
    """The code of what the record says of this kind."""
    part = record.get(kind) if isinstance(record, dict) else None
    code = part.get("iso_code") if isinstance(part, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None

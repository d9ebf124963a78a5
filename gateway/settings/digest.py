"""The digest of a part of the configuration: SHA-256 of canonical JSON over values, not over how they were written."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel


def digest(value: Any) -> str:
    """Lower-case hex. Equal for equal values: key order, units and spelled-out defaults make no difference."""
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    match value:
        case BaseModel():
            fields = ((name, getattr(value, name)) for name in type(value).model_fields)
            return {name: _canonical(item) for name, item in fields if item is not None}
        case Mapping():
            return {str(key): _canonical(item) for key, item in value.items()}
        case tuple():
            return [_canonical(item) for item in value]
        case timedelta():
            return value // timedelta(milliseconds=1)
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)

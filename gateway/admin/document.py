"""What the admin API takes and gives: strict models, one reading of each body, merge patches (RFC 7396), entity tags.

An unknown member is refused, a value is never of another type than its own, and what is patched is judged as a whole,
the parts that stay included.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.admin.errors import JsonInvalid, ValidationFailed
from tenants.compact_json import compact
from tenants.unverified_token import Malformed, parse_object

_MOST_ERRORS = 20
_LONGEST = 200


class Document(BaseModel):
    """A JSON object. In a request every member is judged strictly, and none is there that has no name here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Nothing(Document):
    """The body of a request that says all by its address; it may be left out."""


Item = TypeVar("Item", bound=Document)
Read = TypeVar("Read", bound=BaseModel)


class Page(Document, Generic[Item]):
    """``next_cursor`` null: there is no more."""

    items: tuple[Item, ...]
    next_cursor: str | None


def read_json(body: bytes) -> dict[str, Any]:
    """The object.

    Raises:
        JsonInvalid: it is none, or has more than one reading.
    """
    found = parse_object(body)
    if isinstance(found, Malformed):
        raise JsonInvalid(reason=f"json_{found.reason}")
    return found


def validated(model: type[Read], values: Mapping[str, Any]) -> Read:
    """The model of a JSON object.

    Raises:
        ValidationFailed: with each problem's place.
    """
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise ValidationFailed(_told(error)) from error


def validated_query(model: type[Read], values: Mapping[str, str]) -> Read:
    """The model of a query's parameters. Raises as ``validated``."""
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise ValidationFailed(_told(error)) from error


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396 section 2. Null takes a member out."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def plain(document: BaseModel) -> dict[str, Any]:
    """As JSON has it."""
    return document.model_dump(mode="json")


def encoded(document: BaseModel) -> bytes:
    """Compact UTF-8 JSON."""
    return compact(plain(document))


def entity_tag(document: BaseModel) -> str:
    """A strong one (RFC 9110 section 8.8.3): it differs where anything differs that is shown."""
    digest = sha256(encoded(document)).digest()[:16]
    return f'"{urlsafe_b64encode(digest).rstrip(b"=").decode()}"'


def _told(error: ValidationError) -> list[dict[str, str]]:
    return [
        {"pointer": _pointer(each["loc"]), "detail": each["msg"][:_LONGEST]}
        for each in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_ERRORS]
    ]


def _pointer(place: tuple[int | str, ...]) -> str:
    """RFC 6901. A member's name is a stranger's text."""
    return "".join("/" + str(part)[:_LONGEST].replace("~", "~0").replace("/", "~1") for part in place)

"""The form in a request's body or query, read strictly (RFC 6749 section 3.2 and appendix B)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gateway.errors import InvalidRequest, RequestTooLarge

MAX_BODY = 64 * 1024
_MAX_FIELDS = 50
_MAX_DIGITS = 20
_REPEATABLE = frozenset({"resource", "audience"})  # RFC 8707 section 2, RFC 8693 section 2.1


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters by name. An empty value is kept: whether it counts as absent is the parameter's own affair."""

    _fields: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str | None:
        """The value as it was sent, None where the parameter is missing."""
        values = self._fields.get(name)
        return None if values is None else values[0]

    def optional(self, name: str) -> str | None:
        """The value; a parameter without one counts as omitted (RFC 6749 section 3.1)."""
        values = self._fields.get(name)
        return None if values is None else values[0] or None

    def required(self, name: str) -> str:
        """The value.

        Raises:
            InvalidRequest: missing or empty.
        """
        value = self.optional(name)
        if value is None:
            raise InvalidRequest(reason="parameter_missing", detail=name)
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a parameter that may be repeated, each once, empty ones left out."""
        return tuple(dict.fromkeys(value for value in self._fields.get(name, ()) if value))

    @classmethod
    def from_stored(cls, parameters: Mapping[str, Sequence[str]]) -> "Form":
        """What ``stored`` gave."""
        return cls({name: tuple(values) for name, values in parameters.items()})

    def stored(self) -> dict[str, list[str]]:
        """All of it as JSON, to be read again later."""
        return {name: list(values) for name, values in self._fields.items()}

    def __repr__(self) -> str:
        return f"Form({', '.join(sorted(self._fields))})"  # names only: the values are secrets


NO_FORM = Form({})


async def read_body(receive: Receive, content_length: str | None) -> bytes:
    """The body, given up as soon as it is over 64 KiB.

    Raises:
        RequestTooLarge: by its announced length or by its real one.
        ClientDisconnect: it broke off.
    """
    announced = content_length if content_length is not None and content_length.isdecimal() else "0"
    if len(announced) > _MAX_DIGITS or int(announced) > MAX_BODY:
        raise RequestTooLarge(reason="body_too_large")
    body, more = bytearray(), True  # a client may send byte by byte
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise RequestTooLarge(reason="body_too_large")
        more = message.get("more_body", False)
    return bytes(body)


def parse_form(content_type: str | None, body: bytes) -> Form:
    """The parameters of an ``application/x-www-form-urlencoded`` body in UTF-8.

    Raises:
        InvalidRequest: another media type, a parameter that is repeated, bytes that are no UTF-8.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise InvalidRequest(reason="form_expected", detail=media_type[:100])
    return _parse(body)


def parse_query(query: bytes) -> Form:
    """The parameters of a query string, as strictly.

    Raises:
        InvalidRequest: as ``parse_form``.
    """
    return _parse(query)


def _parse(encoded: bytes) -> Form:
    fields: dict[str, tuple[str, ...]] = {}
    pairs = [pair for pair in _text(encoded).replace("+", " ").split("&") if pair]
    if len(pairs) > _MAX_FIELDS:
        raise InvalidRequest(reason="too_many_parameters")
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise InvalidRequest(reason="form_malformed")
        if "%" in pair:
            name, value = _text(unquote_to_bytes(name)), _text(unquote_to_bytes(value))
        if name not in fields:
            fields[name] = (value,)
        elif name in _REPEATABLE:
            fields[name] += (value,)
        else:
            raise InvalidRequest(reason="parameter_repeated", detail=name[:100])
    return Form(fields)


def _text(decoded: bytes) -> str:
    """NUL is refused like what is no UTF-8: no parameter has a use for it."""
    try:
        text = decoded.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(reason="form_not_utf8") from error
    if "\0" in text:
        raise InvalidRequest(reason="form_has_nul")
    return text

"""Where a list goes on: a cursor that only we can have made, and that is good for the same list alone.

A cursor holds the place of the last thing that was shown. It is signed, with what it is a place in: tenant, operation
and filters. So nobody learns by a made-up place, and none goes on in another list.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Final

from pydantic import Field

from gateway.admin.document import Document
from gateway.admin.errors import CursorInvalid
from tenants.compact_json import compact

MOST: Final = 200
USUAL: Final = 50
_LONGEST = 6000  # a name has 254 characters, and its key three times as many
_SIGNATURE = 16

Limit = Annotated[int, Field(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[str, Field(max_length=_LONGEST, description="`next_cursor` of the page before.")]


class PageQuery(Document):
    """What every list takes."""

    limit: Limit = USUAL
    cursor: Cursor | None = None


class Cursors:
    """``keys`` sign: the first one does, all of them are accepted."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def make(self, place: Sequence[str | int], of: Sequence[str]) -> str:
        """The cursor of a place in the list ``of``."""
        payload = compact(list(place))
        return _text(_signature(self._keys[0], payload, of) + payload)

    def read(self, cursor: str, of: Sequence[str]) -> list[Any]:
        """The place.

        Raises:
            CursorInvalid: it was not made here, or for another list.
        """
        try:
            data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (Error, UnicodeEncodeError, ValueError) as error:
            raise CursorInvalid(reason="cursor_malformed") from error
        signature, payload = data[:_SIGNATURE], data[_SIGNATURE:]
        if _text(data) != cursor or not any(
            hmac.compare_digest(signature, _signature(key, payload, of)) for key in self._keys
        ):
            raise CursorInvalid(reason="cursor_unsigned")
        place: list[Any] = json.loads(payload)
        return place


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signature(key: bytes, payload: bytes, of: Sequence[str]) -> bytes:
    message = payload + b"\0" + json.dumps(list(of)).encode()
    return hmac.new(key, message, sha256).digest()[:_SIGNATURE]

"""A checkpoint: how large a log was, and what its root was, as text (C2SP tlog-checkpoint).

    auth.example.com/t/acme/audit        the log's name, which no other log has
    1042                                 events
    <base64 of the root>

Its signature is signed_note.py's, in ``tenants``.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from policies.merkle import EMPTY_ROOT, HASH_BYTES

_ORIGIN = re.compile(r"[!-*,-~]{1,400}")  # as the name of a signing key: no space, no plus
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


class MalformedCheckpoint(ValueError):
    """The text is none. The message says in what, for a person."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``size`` events had the root ``root``, in the log ``origin``."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """From what ``text`` gave; further lines, which other writers may add, are passed over.

        Raises:
            MalformedCheckpoint: it is none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] != "":
            raise MalformedCheckpoint("a checkpoint has three lines: the log's name, its size and its root")
        origin, size, root = lines[:3]
        if not is_log_name(origin):
            raise MalformedCheckpoint("the first line of a checkpoint is the name of a log")
        if not _SIZE.fullmatch(size):
            raise MalformedCheckpoint("the second line of a checkpoint is the size, a decimal number")
        found = cls(origin, int(size), exact_base64(root, HASH_BYTES))
        if found.size == 0 and found.root != EMPTY_ROOT:
            raise MalformedCheckpoint("the root of a log without events is another")
        return found


def is_log_name(text: str) -> bool:
    """Whether it can name a log, and the key that signs it: visible ASCII without a plus."""
    return _ORIGIN.fullmatch(text) is not None


def exact_base64(text: str, length: int) -> bytes:
    """So many bytes, in the one spelling that base64 has for them.

    Raises:
        MalformedCheckpoint: it is none, or of another length.
    """
    try:
        found = binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        raise MalformedCheckpoint(f"not the base64 of {length} bytes") from None
    if len(found) != length or binascii.b2a_base64(found, newline=False) != text.encode():
        raise MalformedCheckpoint(f"not the base64 of {length} bytes")
    return found

"""What stored hashes share (PHC string format): base64 of the standard alphabet without padding, one spelling for each
value, and how long a salt and a hash may be.
"""

import base64
import binascii
from typing import Final

MOST_BYTES: Final = 128
LEAST_DIGEST_BYTES: Final = 16


def encoded(data: bytes) -> str:
    """Bytes as they stand in a stored hash."""
    return base64.b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes | None:
    """What ``encoded`` made; None for any other spelling: a library would refuse it at no cost, and an answer in no
    time tells something.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: beyond ASCII
        return None
    return data if encoded(data) == text else None


def lengths_fault(salt: bytes, digest: bytes) -> str | None:
    """What is wrong with a salt or a hash by its length, in words: a short one would match by chance."""
    if not 0 < len(salt) <= MOST_BYTES or not LEAST_DIGEST_BYTES <= len(digest) <= MOST_BYTES:
        return f"a salt has 1 to {MOST_BYTES} bytes, a hash {LEAST_DIGEST_BYTES} to {MOST_BYTES}"
    return None

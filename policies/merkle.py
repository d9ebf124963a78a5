"""The hashes of the audit log: an event's entry and its leaf in the RFC 9162 Merkle tree.

    entry = SHA-256(salt ‖ event)        16 random bytes, then the event exactly as stored
    leaf  = SHA-256(0x00 ‖ entry)        RFC 9162 section 2.1.1

Salt and event can be erased later and the leaf stays. Without the salt an erased event of few possible values could be
guessed from its hash. Not here: the encoding of events, and the tree above the leaves.
"""

import hashlib

SALT_BYTES = 16
HASH_BYTES = 32


def entry_hash(salt: bytes, event: bytes) -> bytes:
    """32 bytes. ``event`` is the stored bytes, never an encoding made anew. Raises ValueError for a salt that has not
    16 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return hashlib.sha256(salt + event).digest()


def leaf_hash(entry: bytes) -> bytes:
    """32 bytes. Raises ValueError where ``entry`` is not a SHA-256 hash: an event passed by mistake must not become a
    leaf.
    """
    if len(entry) != HASH_BYTES:
        raise ValueError(f"an entry hash has {HASH_BYTES} bytes, not {len(entry)}")
    return hashlib.sha256(b"\x00" + entry).digest()

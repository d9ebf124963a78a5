"""Signed notes (C2SP signed-note), with Ed25519: how a checkpoint is signed, and how its key is written down.

    <text>

    — <name of the key> <base64 of 4 bytes of the key's hash ‖ signature>

A verifier's key is ``name+hash+base64``: 8 hex digits, and the base64 of 0x01 ‖ 32 bytes.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policies.checkpoint import Checkpoint, MalformedCheckpoint, exact_base64, is_log_name

LARGEST_NOTE = 16 * 1024
_ED25519 = b"\x01"
_MARK = "\u2014 "
_PUBLIC_BYTES, _HASH_BYTES = 32, 4
_MOST_SIGNATURES = 16


class MalformedKey(ValueError):
    """The text is no verifier's key."""


class NotSigned(ValueError):
    """The note bears no signature of this key that is right. The message says what it bears instead."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half: ``name`` is the log's origin, ``public`` 32 bytes."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """The four bytes that tell keys of one name apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_HASH_BYTES]

    def text(self) -> str:
        """``name+hash+base64``."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what ``text`` gave; white space around it is passed over.

        Raises:
            MalformedKey: it is none, or its hash is another key's.
        """
        name, _, rest = text.strip().partition("+")
        written, _, encoded = rest.partition("+")
        try:
            public = exact_base64(encoded, 1 + _PUBLIC_BYTES)
        except MalformedCheckpoint:
            public = b""
        if not public or not is_log_name(name):
            raise MalformedKey("a key is name+hash+base64, as `yett audit key` writes it")
        key = cls(name, public[1:])
        if public[:1] != _ED25519:
            raise MalformedKey("the key is of another kind than Ed25519")
        if written != key.hash.hex():
            raise MalformedKey("the key's hash does not belong to its name and its bytes: a sign of it was changed")
        return key

    def opened(self, note: str) -> Checkpoint:
        """The checkpoint in a note that this key has signed, for the log of the key's name.

        Raises:
            MalformedCheckpoint: the note or the text in it is malformed.
            NotSigned: this key has not signed it.
        """
        checkpoint = Checkpoint.parse(_parts(note)[0])
        if checkpoint.origin != self.name:
            raise NotSigned(f"the checkpoint is of the log {checkpoint.origin}, and the key of {self.name}")
        self.text_of(note)
        return checkpoint

    def text_of(self, note: str) -> str:
        """The text of a note that this key has signed. Other signatures are passed over. Raises as ``opened``."""
        text, signatures = _parts(note)
        mine = [signature for name, key_hash, signature in signatures if (name, key_hash) == (self.name, self.hash)]
        if not mine:
            others = ", ".join(f"{name}+{key_hash.hex()}" for name, key_hash, _ in signatures)
            raise NotSigned(f"the checkpoint is signed by {others}, and not by {self.name}+{self.hash.hex()}")
        for signature in mine:
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
            except (InvalidSignature, ValueError):
                raise NotSigned("the checkpoint's signature is wrong: it was altered") from None
        return text


class SignerKey:
    """The private half. Its repr shows the name only."""

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verifier = VerifierKey(name, private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SignerKey(name={self.verifier.name!r})"

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new one."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_private(cls, name: str, private: bytes) -> Self:
        """From the 32 bytes that ``private_bytes`` gave. Raises ValueError for others."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(private))

    def private_bytes(self) -> bytes:
        """32 bytes: to be sealed, never to be stored or logged as they are."""
        return self._private.private_bytes_raw()

    def signed(self, size: int, root: bytes) -> str:
        """The note of a checkpoint of this key's log."""
        text = Checkpoint(self.verifier.name, size, root).text()
        signature = self.verifier.hash + self._private.sign(text.encode())
        return f"{text}\n{_MARK}{self.verifier.name} {base64.b64encode(signature).decode()}\n"


def _parts(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    if len(note) > LARGEST_NOTE:
        raise MalformedCheckpoint(f"a checkpoint has at most {LARGEST_NOTE} characters")
    text, separator, rest = note.rpartition("\n\n")
    lines = rest.removesuffix("\n").split("\n")
    if not separator or not rest.endswith("\n") or len(lines) > _MOST_SIGNATURES:
        raise MalformedCheckpoint("a checkpoint ends with an empty line and its signatures")
    signatures = []
    for line in lines:
        name, _, encoded = line.removeprefix(_MARK).partition(" ")
        if not line.startswith(_MARK) or not is_log_name(name):
            raise MalformedCheckpoint("a line of a checkpoint that should be a signature is none")
        try:
            signed = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise MalformedCheckpoint("a signature of a checkpoint is not base64") from None
        if len(signed) < _HASH_BYTES:
            raise MalformedCheckpoint("a signature of a checkpoint is too short")
        signatures.append((name, signed[:_HASH_BYTES], signed[_HASH_BYTES:]))
    return text + "\n", signatures

"""Sealing of recoverable secrets: AES-256-GCM under a ring of master keys (NIST SP 800-38D).

A seal is bound to the place of its secret (tenant, table, row, column), so that no row can be given another's. Owns the
envelope and the key file. Not which columns are sealed, nor the walk that reseals them.

    envelope = 0x01 ‖ length of key id ‖ key id ‖ 12 random bytes ‖ ciphertext and tag
"""

import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES: Final = 32
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

UnsealableReason = Literal["envelope_malformed", "master_key_unknown", "not_authentic"]


class MasterKeyProblem(Exception):
    """The ring cannot be read. The message is a sentence for the operator and never shows key material."""


class MasterKeyMissing(MasterKeyProblem):
    """There is no key file."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no master key at {path}: restore that file from its backup, or run `yett init` if this is a new "
            "installation (what was sealed under a lost master key cannot be opened again)"
        )
        self.path = path


class MasterKeyUnreadable(MasterKeyProblem):
    """There is something at the path, but it cannot be read."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"the master key file {path} cannot be read ({cause}): let the user that runs Yett read it")
        self.path = path


class MasterKeyExposed(MasterKeyProblem):
    """Every user of the machine could have read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the master key file {path} can be read by every user of this machine: run `chmod 600 {path}`, or 440 "
            "where a group has to read it"
        )
        self.path = path


class MasterKeyExists(MasterKeyProblem):
    """A file is never overwritten: the key in it may be the only one that opens the database."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already and is left alone: move it away first if a new master key is wanted")
        self.path = path


class MasterKeyMalformed(MasterKeyProblem):
    """A line of the key file is none."""

    def __init__(self, source: str, line: int, cause: str) -> None:
        where = f"{source}, line {line}" if line else source
        super().__init__(
            f"{where}: {cause}; a line is a key id, a space and 32 bytes in base64url, the first one seals"
        )
        self.source, self.line = source, line


class Unsealable(Exception):
    """The secret cannot be opened. ``reason`` tells why, the message what to do."""

    def __init__(self, reason: UnsealableReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key of the ring."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """A new one."""
        return cls(f"mk-{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES))

    def line(self) -> str:
        """The key as its line in the file."""
        return f"{self.id} {base64.urlsafe_b64encode(self.secret).rstrip(b'=').decode()}\n"


@dataclass(frozen=True, slots=True)
class _Ring:
    keys: tuple[MasterKey, ...]
    ciphers: Mapping[str, AESGCM] = field(repr=False)


class MasterKeys:
    """The ring. The first key seals, all of them open. A running process may be given another one (``take``)."""

    __slots__ = ("_ring",)

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        """Raises ValueError for an empty ring, an id that occurs twice, or a key that has not 32 bytes."""
        distinct = {key.id for key in keys}
        if not keys or len(distinct) != len(keys) or any(_KEY_ID.fullmatch(key_id) is None for key_id in distinct):
            raise ValueError("a ring has at least one key, each with an id of its own")
        if any(len(key.secret) != KEY_BYTES for key in keys):
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._ring = _Ring(tuple(keys), {key.id: AESGCM(key.secret) for key in keys})

    def __repr__(self) -> str:
        return f"MasterKeys(active={self.active_id!r}, ids={sorted(self.ids)!r})"

    @property
    def active_id(self) -> str:
        """The id of the key that seals."""
        return self._ring.keys[0].id

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all keys, the one that seals first."""
        return tuple(key.id for key in self._ring.keys)

    def may_become(self, other: "MasterKeys") -> bool:
        """Whether ``other`` opens what this one seals now. A ring without that key is another installation's, or was
        made in one step of what takes several.
        """
        return self._ring.keys[0] in other._ring.keys

    def take(self, other: "MasterKeys") -> None:
        """Be that ring from here on, for everybody who has this one."""
        self._ring = other._ring

    @classmethod
    def parse(cls, text: str, *, source: str = "master keys") -> Self:
        """The ring that a key file's text describes. Empty lines and lines that begin with ``#`` say nothing.

        Raises MasterKeyMalformed with ``source`` and the line.
        """
        keys: dict[str, MasterKey] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            fields = line.split()
            if len(fields) != 2:
                raise MasterKeyMalformed(source, number, f"two fields are wanted and {len(fields)} found")
            key_id, encoded = fields
            if _KEY_ID.fullmatch(key_id) is None:
                raise MasterKeyMalformed(source, number, "a key id is made of letters, digits, `.`, `_`, `-`")
            if key_id in keys:
                raise MasterKeyMalformed(source, number, f"the key id {key_id} occurs twice")
            keys[key_id] = MasterKey(key_id, _secret(encoded, source, number))
        if not keys:
            raise MasterKeyMalformed(source, 0, "there is no key in it")
        return cls(list(keys.values()))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The ring in a key file. Raises MasterKeyMissing, MasterKeyUnreadable, MasterKeyExposed, MasterKeyMalformed.

        Its group may read it: orchestrators mount secrets like that.
        """
        try:
            with path.open(encoding="ascii") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                    raise MasterKeyExposed(path)
                text = file.read()
        except FileNotFoundError as error:
            raise MasterKeyMissing(path) from error
        except OSError as error:
            raise MasterKeyUnreadable(path, error.strerror or type(error).__name__) from error
        except UnicodeDecodeError:
            # Not chained: the error would carry the bytes of the file into a traceback.
            raise MasterKeyMalformed(str(path), 0, "there are other signs than ASCII in it") from None
        return cls.parse(text, source=str(path))

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new ring of one random key, written for its owner alone. Raises MasterKeyExists, and OSError where it
        cannot be written.
        """
        key = MasterKey.random()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError as error:
            raise MasterKeyExists(path) from error
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("# Yett master keys. The first one seals. Keep a copy apart from the database's backups.\n")
            file.write(key.line())
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
        return cls([key])

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A key for another purpose from each key of the ring (RFC 5869 section 2.3), the active one's first: every
        process that has the ring has them, and nobody learns anything of the ring from them.
        """
        info = b"yett " + purpose.encode()
        return tuple(HKDFExpand(SHA256(), KEY_BYTES, info).derive(key.secret) for key in self._ring.keys)

    def seal(self, plaintext: bytes, *, tenant: UUID | str, table: str, row: str, column: str) -> bytes:
        """The envelope of a secret that lives in this place; ``tenant`` is empty for what is no tenant's."""
        ring = self._ring
        key_id = ring.keys[0].id
        head, nonce = envelope_head(key_id), secrets.token_bytes(_NONCE_BYTES)
        place = _place(head, tenant, table, row, column)
        return head + nonce + ring.ciphers[key_id].encrypt(nonce, plaintext, place)

    def open(self, sealed: bytes, *, tenant: UUID | str, table: str, row: str, column: str) -> bytes:
        """The secret. Raises Unsealable: no envelope, a master key that is not in the ring, or another place, key or
        content.
        """
        key_id, size = _key_id(sealed)
        ciphers = self._ring.ciphers
        cipher = ciphers.get(key_id)
        if cipher is None:
            raise Unsealable(
                "master_key_unknown",
                f"{table}.{column} is sealed under the master key {key_id}, which is not in the key file "
                f"(it has {', '.join(sorted(ciphers))}): add that key's line below the first one",
            )
        nonce, body = sealed[size : size + _NONCE_BYTES], sealed[size + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, _place(sealed[:size], tenant, table, row, column))
        except InvalidTag as error:
            raise Unsealable(
                "not_authentic",
                f"{table}.{column} cannot be opened with the master key {key_id}: the key file has another key under "
                "this id, or the row was altered or moved; restore the key file that belongs to this database",
            ) from error


def envelope_head(key_id: str) -> bytes:
    """What every envelope of this key begins with, and no other's does."""
    return bytes((_VERSION, len(key_id))) + key_id.encode()


def _secret(encoded: str, source: str, number: int) -> bytes:
    plain = encoded.rstrip("=")
    try:
        secret = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        # Not chained, as above.
        raise MasterKeyMalformed(source, number, "the key is not base64url") from None
    if len(secret) != KEY_BYTES:
        raise MasterKeyMalformed(source, number, f"the key has {len(secret)} bytes where {KEY_BYTES} are wanted")
    return secret


def _sync_folder(folder: Path) -> None:
    """The file's name has to be on disk too, before anything is sealed under its key."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(head: bytes, tenant: UUID | str, table: str, row: str, column: str) -> bytes:
    """The additional data. Each part has its length before it, so that no two places share an encoding."""
    parts = (b"yett seal", head, str(tenant).encode(), table.encode(), row.encode(), column.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _key_id(sealed: bytes) -> tuple[str, int]:
    """The key id of an envelope, and where its nonce begins."""
    if len(sealed) >= 2 and sealed[0] == _VERSION:
        size = 2 + sealed[1]
        key_id = sealed[2:size].decode("ascii", errors="replace")
        if len(sealed) >= size + _NONCE_BYTES + _TAG_BYTES and _KEY_ID.fullmatch(key_id):
            return key_id, size
    raise Unsealable("envelope_malformed", "what is stored is no sealed secret: the row was altered or truncated")

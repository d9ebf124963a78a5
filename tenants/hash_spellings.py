"""How other systems write their password hashes, each brought into the canonical text of foreign_hash.py.

The modular crypt and PHC formats (libc, PHP, passlib), Django's ``PASSWORD_HASHERS``, Keycloak's credential (JSON),
Firebase's hash with its project's parameters. Owns what an import takes. Nothing is repaired but what two spellings of
one hash differ in: prefix, alphabet and padding of base64.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from tenants import bcrypt_hash, phc
from tenants.argon2_hash import Argon2Hash
from tenants.bcrypt_hash import Bcrypt
from tenants.errors import InvalidValue
from tenants.foreign_hash import MAX_LENGTH, ForeignHash
from tenants.pbkdf2_hash import Pbkdf2
from tenants.scrypt_hash import FirebaseScrypt, Scrypt

_MOST_CHARACTERS: Final = 4096
_KEYCLOAK_FIELDS = {"id", "type", "userLabel", "createdDate", "priority", "secretData", "credentialData"}
_KEYCLOAK_HASHES = {"pbkdf2": "sha1", "pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}
_FIREBASE_FIELDS = {"algorithm", "hash", "salt", "signer_key", "salt_separator", "rounds", "mem_cost"}
_HASH_CONFIG = re.compile(r"\b(base64_signer_key|base64_salt_separator|rounds|mem_cost)\s*:\s*([A-Za-z0-9+/_=-]+)")


@dataclass(frozen=True, slots=True)
class FirebaseProject:
    """The password hash parameters of a Firebase project."""

    signer_key: bytes = field(repr=False)
    salt_separator: bytes
    rounds: int
    mem_cost: int

    @classmethod
    def parse(cls, text: str) -> "FirebaseProject":
        """From ``hash_config {…}`` as Firebase's console shows it.

        Raises:
            InvalidValue: a parameter is missing or malformed.
        """
        found = dict(_HASH_CONFIG.findall(text))
        if len(found) != 4:
            raise InvalidValue(
                "these are not Firebase's password hash parameters: base64_signer_key, base64_salt_separator, rounds "
                "and mem_cost are wanted, as its console shows them"
            )
        return cls(
            _bytes("base64_signer_key", found["base64_signer_key"]),
            _bytes("base64_salt_separator", found["base64_salt_separator"]),
            _integer("rounds", found["rounds"]),
            _integer("mem_cost", found["mem_cost"]),
        )


@dataclass(frozen=True, slots=True)
class Canonical:
    """A hash as it is stored, and its scheme (foreign_hash.py)."""

    text: str = field(repr=False)
    scheme: str


def canonical(written: object, *, salt: object = None, project: FirebaseProject | None = None) -> Canonical:
    """The canonical text of a hash: of text, or of an object (Keycloak's, Firebase's) or its JSON.

    ``salt`` stands beside a Firebase hash, whose ``project`` is needed then.

    Raises:
        InvalidValue: it is no hash that is known here, or costs more to verify than is allowed; with the reason.
    """
    if salt is not None:
        return _checked(_firebase({"hash": written, "salt": salt}, project))
    if isinstance(written, str) and written.startswith("{"):
        written = _object("the hash", written)
    if isinstance(written, Mapping):
        return _checked(_keycloak(written) if "credentialData" in written else _firebase(written, project))
    if not isinstance(written, str):
        raise InvalidValue("a password hash is text, or an object as Keycloak and Firebase have it")
    if len(written) > _MOST_CHARACTERS:
        raise InvalidValue(f"a password hash has at most {_MOST_CHARACTERS} characters")
    for pattern, read in _SPELLINGS:
        match = pattern.fullmatch(written)
        if match is not None:
            return _checked(read(match))
    raise InvalidValue(_unknown(written))


def _checked(found: Argon2Hash | ForeignHash) -> Canonical:
    fault = found.fault()
    if fault is not None:
        raise InvalidValue(fault)
    text = found.text
    if len(text) > MAX_LENGTH:
        raise InvalidValue(f"a password hash is at most {MAX_LENGTH} characters long when it is stored")
    return Canonical(text, found.scheme)


def _unknown(written: str) -> str:
    """Why it is not taken. Never quotes it: it may be a password."""
    if written.startswith("$2x$"):
        return "bcrypt's $2x$ marks hashes of a faulty library, which are not taken"
    if written.startswith("!"):
        return "`!` marks a user without a password in Django: leave the hash out"
    if written.startswith("$argon2d$"):
        return "Argon2d is not taken: Argon2id and Argon2i are"
    known = ("$2", "$argon2", "$scrypt$", "$pbkdf2", "pbkdf2_", "argon2$", "bcrypt", "scrypt$")
    if written.startswith(known):
        return f"a malformed hash that begins like {next(each for each in known if written.startswith(each))}…"
    return "not a password hash of a kind that is known here"


def _bcrypt(match: re.Match[str]) -> Bcrypt:
    prehashed = match["django"] == "bcrypt_sha256$"
    salt, digest = bcrypt_hash.bcrypt_decoded(match["salt"]), bcrypt_hash.bcrypt_decoded(match["digest"])
    found = Bcrypt(int(match["cost"]), salt, digest, prehashed)
    if found.cost < bcrypt_hash.LEAST_COST:
        raise InvalidValue(f"bcrypt has no cost {found.cost}")
    return found


def _argon2(match: re.Match[str]) -> Argon2Hash:
    found = Argon2Hash.parse(match["text"])
    if found is None:
        raise InvalidValue("a malformed Argon2 hash")
    return found


def _pbkdf2(match: re.Match[str]) -> Pbkdf2:
    salt, digest = _bytes("the salt", match["salt"]), _bytes("the hash", match["digest"])
    if match["length"] is not None and int(match["length"]) != len(digest):
        raise InvalidValue("a PBKDF2 hash is not as long as its `l` says")
    return Pbkdf2(match["hash"] or "sha1", int(match["iterations"]), salt, digest)


def _scrypt(match: re.Match[str]) -> Scrypt:
    salt, digest = _bytes("the salt", match["salt"]), _bytes("the hash", match["digest"])
    return Scrypt(int(match["ln"]), int(match["r"]), int(match["p"]), salt, digest)


def _django_pbkdf2(match: re.Match[str]) -> Pbkdf2:
    return Pbkdf2(match["hash"], int(match["iterations"]), match["salt"].encode(), _bytes("the hash", match["digest"]))


def _django_scrypt(match: re.Match[str]) -> Scrypt:
    n = int(match["n"])
    if n.bit_count() != 1:
        raise InvalidValue("scrypt's N is a power of two")
    digest = _bytes("the hash", match["digest"])
    return Scrypt(n.bit_length() - 1, int(match["r"]), int(match["p"]), match["salt"].encode(), digest)


def _stored_firebase(match: re.Match[str]) -> FirebaseScrypt:
    found = FirebaseScrypt.parse(match["text"])
    if found is None:
        raise InvalidValue("a malformed hash of Firebase")
    return found


_N = "[1-9][0-9]{0,9}"
_DIGEST = "(?P<digest>[A-Za-z0-9+/._-]+={0,2})"
_SALT = "(?P<salt>[A-Za-z0-9+/._-]*={0,2})"
_DJANGO_SALT = r"(?P<salt>[!-#%-~]{1,128})"
_SPELLINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Argon2Hash | ForeignHash]], ...] = (
    (
        re.compile(
            r"(?P<django>bcrypt\$|bcrypt_sha256\$)?\$2[aby]\$(?P<cost>[0-9]{2})\$"
            r"(?P<salt>[./A-Za-z0-9]{22})(?P<digest>[./A-Za-z0-9]{31})"
        ),
        _bcrypt,
    ),
    (re.compile(r"(?:argon2)?(?P<text>\$argon2(?:id|i)\$.+)"), _argon2),
    (
        re.compile(
            r"\$pbkdf2(?:-(?P<hash>sha1|sha256|sha512))?\$"
            rf"(?:i=|rounds=)?(?P<iterations>{_N})(?:,l=(?P<length>{_N}))?\${_SALT}\${_DIGEST}"
        ),
        _pbkdf2,
    ),
    (re.compile(rf"\$scrypt\$ln=(?P<ln>{_N}),r=(?P<r>{_N}),p=(?P<p>{_N})\${_SALT}\${_DIGEST}"), _scrypt),
    (
        re.compile(rf"pbkdf2_(?P<hash>sha1|sha256|sha512)\$(?P<iterations>{_N})\${_DJANGO_SALT}\${_DIGEST}"),
        _django_pbkdf2,
    ),
    (re.compile(r"(?P<text>\$firebase-scrypt\$.+)"), _stored_firebase),
    (re.compile(rf"scrypt\$(?P<n>{_N})\${_DJANGO_SALT}\$(?P<r>{_N})\$(?P<p>{_N})\${_DIGEST}"), _django_scrypt),
)


def _keycloak(credential: Mapping[str, Any]) -> Argon2Hash | ForeignHash:
    """A credential of a realm's export (``CredentialRepresentation``)."""
    _only("a Keycloak credential", credential, _KEYCLOAK_FIELDS)
    if credential.get("type", "password") != "password":
        raise InvalidValue("a Keycloak credential of another type than password")
    data = _object("credentialData", credential.get("credentialData"))
    secret = _object("secretData", credential.get("secretData"))
    salt, digest = _bytes("the salt", secret.get("salt")), _bytes("the hash", secret.get("value"))
    algorithm, iterations = data.get("algorithm"), _integer("hashIterations", data.get("hashIterations"))
    if algorithm in _KEYCLOAK_HASHES:
        return Pbkdf2(_KEYCLOAK_HASHES[algorithm], iterations, salt, digest)
    if algorithm != "argon2":
        raise InvalidValue(
            "a Keycloak credential has one of the algorithms pbkdf2, pbkdf2-sha256, pbkdf2-sha512, argon2"
        )
    more = data.get("additionalParameters")
    given = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else None
        for name, value in (more.items() if isinstance(more, Mapping) else ())
    }
    versions = {"1.0": 16, "1.3": 19}
    if given.get("type") not in ("id", "i") or given.get("version") not in versions:
        raise InvalidValue("an Argon2 hash of Keycloak has a type, id or i, and a version, 1.3 or 1.0")
    memory, lanes = _integer("memory", given.get("memory")), _integer("parallelism", given.get("parallelism"))
    found = Argon2Hash.parse(
        f"$argon2{given['type']}$v={versions[str(given['version'])]}$m={memory},t={iterations},p={lanes}"
        f"${phc.encoded(salt)}${phc.encoded(digest)}"
    )
    if found is None:
        raise InvalidValue("a malformed Argon2 hash of Keycloak")
    return found


def _firebase(fields: Mapping[str, Any], project: FirebaseProject | None) -> ForeignHash:
    """A user of ``firebase auth:export``; where ``fields`` have no parameters, their project's stand in."""
    _only("a Firebase hash", fields, _FIREBASE_FIELDS)
    if fields.get("algorithm", "firebase-scrypt") != "firebase-scrypt":
        raise InvalidValue("the algorithm of a hash as an object is firebase-scrypt")
    own = fields.keys() & {"signer_key", "salt_separator", "rounds", "mem_cost"}
    if len(own) == 4:
        project = FirebaseProject(
            _bytes("signer_key", fields["signer_key"]),
            _bytes("salt_separator", fields["salt_separator"]),
            _integer("rounds", fields["rounds"]),
            _integer("mem_cost", fields["mem_cost"]),
        )
    elif own or project is None:
        raise InvalidValue("a Firebase hash needs its project's signer_key, salt_separator, rounds and mem_cost")
    salt, digest = _bytes("the salt", fields.get("salt")), _bytes("the hash", fields.get("hash"))
    if len(digest) != len(project.signer_key):
        raise InvalidValue("a Firebase hash is as long as its project's signer key")
    return FirebaseScrypt(project.mem_cost, project.rounds, salt + project.salt_separator, project.signer_key, digest)


def _object(name: str, written: object) -> Mapping[str, Any]:
    if isinstance(written, str):
        try:
            written = json.loads(written)
        except (ValueError, RecursionError):
            _malformed(name, "a JSON object")
    if not isinstance(written, Mapping):
        _malformed(name, "a JSON object")
    return written


def _only(what: str, fields: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(fields.keys() - known)
    if unknown:
        raise InvalidValue(f"{what} has no field {unknown[0][:40]!r}")


def _bytes(name: str, written: object) -> bytes:
    """Base64 in any of its alphabets (also passlib's, with a dot for the plus), padded or not."""
    if not isinstance(written, str) or len(written) > _MOST_CHARACTERS:
        _malformed(name, "base64")
    text = written.rstrip("=").translate(_STANDARD)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        _malformed(name, "base64")


_STANDARD = str.maketrans("-_.", "+/+")


def _integer(name: str, written: object) -> int:
    if isinstance(written, str) and written.isascii() and written.isdigit() and len(written) <= 10:
        written = int(written)
    if not isinstance(written, int) or isinstance(written, bool) or not 0 < written < 10**10:
        _malformed(name, "a positive number")
    return written


def _malformed(name: str, wanted: str) -> NoReturn:
    raise InvalidValue(f"{name} is not {wanted}")

"""One user of an import: what a line may say, and what becomes of it.

Owns the fields and their meaning. Not how a file is read (import_file.py), not what is in the database already
(user_imports.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tenants.errors import InvalidValue
from tenants.hash_spellings import Canonical, FirebaseProject, canonical
from tenants.user_names import address_key, is_address_key, name_key

FIELDS = ("name", "email", "email_verified", "password_hash", "password_salt", "roles", "active")
_MOST_ROLES = 100


@dataclass(frozen=True, slots=True)
class Faulty:
    """A line that cannot be imported, and why, in words that quote no secret."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be written, with the keys by which they will be found. Without ``hash`` they have no password."""

    line: int
    name: str
    name_key: str
    email: str | None
    email_key: str | None
    email_verified: bool
    active: bool
    roles: tuple[str, ...]
    hash: Canonical | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What lines are judged by: the tenant's roles, and whose Firebase hashes they are."""

    roles: Collection[str]
    project: FirebaseProject | None = None


def read(line: int, fields: Mapping[str, object], rules: Rules) -> NewUser | Faulty:
    """The user that a line describes, or what is wrong with it first. A field that is null is one that is left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        for name in given.keys() - set(FIELDS):
            raise InvalidValue(f"there is no field {name[:40]!r}: those that there are: {', '.join(FIELDS)}")
        name, key, email, email_key = _names(given)
        verified = _truth(given, "email_verified", otherwise=False)
        if verified and email is None:
            raise InvalidValue("a user without an address has none that is verified")
        active = _truth(given, "active", otherwise=True)
        roles = _roles(given, rules.roles)
        stored = _hash(given, rules.project)
    except InvalidValue as fault:
        return Faulty(line, str(fault))
    return NewUser(line, name, key, email, email_key, verified, active, roles, stored)


def _names(given: Mapping[str, object]) -> tuple[str, str, str | None, str | None]:
    """Name, its key, address, its key, by the rules of ``Users.create``. Without a name, the address is it."""
    email = _text(given, "email")
    name = _text(given, "name") or email
    if name is None:
        raise InvalidValue("a user has a name, an email, or both")
    key = name_key(name)
    email_key = None if email is None else address_key(email)
    if is_address_key(key):
        if email_key not in (None, key):
            raise InvalidValue("a user whose name is an address has no other address")
        email, email_key = name, key
    return name, key, email, email_key


def _text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"{name} is text")
    return value


def _truth(given: Mapping[str, object], name: str, *, otherwise: bool) -> bool:
    value = given.get(name, otherwise)
    if not isinstance(value, bool):
        raise InvalidValue(f"{name} is true or false")
    return value


def _roles(given: Mapping[str, object], known: Collection[str]) -> tuple[str, ...]:
    value = given.get("roles", [])
    if not isinstance(value, list) or len(value) > _MOST_ROLES or not all(isinstance(role, str) for role in value):
        raise InvalidValue(f"roles is a list of at most {_MOST_ROLES} names")
    for role in value:
        if role not in known:
            raise InvalidValue(f"there is no role {role[:100]!r}")
    return tuple(dict.fromkeys(value))


def _hash(given: Mapping[str, object], project: FirebaseProject | None) -> Canonical | None:
    if "password_hash" not in given:
        if "password_salt" in given:
            raise InvalidValue("a password_salt belongs to a password_hash")
        return None
    return canonical(given["password_hash"], salt=given.get("password_salt"), project=project)

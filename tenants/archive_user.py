"""A user in an exported tenant: the account and all that logs it in. Part of archive_lines.py."""

import binascii
from collections.abc import Iterator
from typing import Any, Final

import pyotp

from tenants import foreign_hash
from tenants.archive_fields import Fields
from tenants.archive_known import Known, Row, Secret
from tenants.argon2_hash import Cost
from tenants.errors import InvalidValue
from tenants.names import checked_audience, checked_scopes, checked_title
from tenants.totp import LONGEST_NAME, MAX_FACTORS
from tenants.user_names import LONGEST, address_key, is_address_key, look_up_key

_MOST: Final = 10_000
_FARTHEST_STEP: Final = 2**40
_CAPS: Final = Cost()


def user(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    user_id = fields.uuid("id")
    known.once("user", str(user_id), line)
    yield "users", {"id": user_id, **_names(fields, line, known), "created_at": fields.time("created_at")}
    for password in fields.each("password", most=1):
        yield "passwords", {"user_id": user_id, **_password(password)}
    for role in dict.fromkeys(fields.texts("roles", most=_MOST)):
        if role not in known.roles:
            raise InvalidValue(f"there is no role {role[:100]!r}")
        yield "user_roles", {"user_id": user_id, "role": role}
    for group in dict.fromkeys(fields.texts("groups", most=_MOST)):
        if group not in known.groups:
            raise InvalidValue(f"there is no group {group[:100]!r}")
        yield "group_members", {"user_id": user_id, "group_name": group}
    for factor in fields.each("factors", most=MAX_FACTORS):
        yield "totp_factors", {"user_id": user_id, **_factor(factor, line, known)}
    step = fields.number_or_none("factor_step", most=_FARTHEST_STEP)
    if step is not None:
        yield "totp_steps", {"user_id": user_id, "step": step}
    for code in fields.each("recovery_codes", most=100):
        digest = code.digest("digest")
        known.once("recovery code", f"{user_id} {digest.hex()}", line)
        times = {"created_at": code.time("created_at"), "consumed_at": code.time_or_none("consumed_at")}
        yield "recovery_codes", {"user_id": user_id, "digest": digest, **times}
    for consent in fields.each("consents", most=_MOST):
        client_id, audience = consent.text("client_id", longest=100), consent.text("audience", longest=2000)
        if client_id not in known.clients:
            raise InvalidValue(f"there is no client {client_id!r}")
        known.once("consent", f"{user_id} {client_id} {audience}", line)
        yield (
            "consents",
            {
                "user_id": user_id,
                "client_id": client_id,
                "audience": checked_audience(audience),
                "scopes": sorted(checked_scopes(consent.texts("scopes", most=_MOST))),
                "granted_at": consent.time("granted_at"),
            },
        )


def _names(fields: Fields, line: int, known: Known) -> dict[str, Any]:
    """Names of before today's rules stay good, as they do where they are."""
    name, email = fields.text("name", longest=LONGEST), fields.text_or_none("email", longest=LONGEST)
    key, email_key = look_up_key(name), None if email is None else address_key(email)
    if key is None:
        raise InvalidValue(f"{name!r} cannot be a user's name")
    if is_address_key(key) and email_key not in (None, key):
        raise InvalidValue("a user whose name is an address has no other address")
    known.once("user name", key, line)
    if email_key is not None:
        known.once("email address", email_key, line)
    verified = fields.truth("email_verified")
    if verified and email is None:
        raise InvalidValue("a user without an address has none that is verified")
    return {
        "name": name,
        "name_key": key,
        "active": fields.truth("active"),
        "email": email,
        "email_key": email_key,
        "email_verified": verified,
    }


def _password(fields: Fields) -> dict[str, Any]:
    text = fields.text("hash", longest=foreign_hash.MAX_LENGTH)
    if text != foreign_hash.NOBODY and foreign_hash.stored_hash(text, _CAPS) is None:
        raise InvalidValue("user.password.hash is no hash that is verified here, or costs too much")
    return {
        "hash": text,
        "scheme": foreign_hash.scheme(text),
        "version": fields.number("version", most=2**31 - 1),
        "stands_alone": fields.truth("stands_alone"),
        "must_change": fields.truth_or_false("must_change"),
        "changed_at": fields.time("changed_at"),
    }


def _factor(fields: Fields, line: int, known: Known) -> dict[str, Any]:
    factor_id = fields.uuid("id")
    known.once("factor", str(factor_id), line)
    secret = known.opened(fields.text("sealed_secret", longest=1000), whose=f"totp_factors {factor_id}")
    try:
        pyotp.TOTP(secret.decode("ascii")).at(0)
    except (binascii.Error, ValueError) as error:
        raise InvalidValue("a factor's secret is base32") from error
    return {
        "id": factor_id,
        "name": checked_title("factor", fields.text("name", longest=LONGEST_NAME)),
        "sealed_secret": Secret(secret),
        "created_at": fields.time("created_at"),
        "confirmed_at": fields.time("confirmed_at"),
        "last_used_at": fields.time_or_none("last_used_at"),
    }

"""What each line of an exported tenant means: the rows that it stands for, judged by the rules of the store.

Nothing is written here, and no row has a tenant yet. A secret is opened with the archive's key, tried, and left for
whoever writes the row to seal in its place.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from policies.key_rotation import KeyState
from tenants.api_keys import MOST_AUDIENCES, MOST_SCOPES
from tenants.archive_fields import Fields, check_truths, told_in_words
from tenants.archive_known import Known, Row, Secret
from tenants.archive_user import user
from tenants.branding import LARGEST_LOGO, Logo
from tenants.client import Client, checked_row
from tenants.client_options import AUTH_METHODS, AuthMethod, ClientOptions
from tenants.errors import InvalidValue
from tenants.groups import MOST_ROLES, checked_description
from tenants.jose import ALGORITHMS, SigningKey
from tenants.names import checked_audience, checked_name, checked_scopes, checked_title

_MOST: Final = 10_000
_KEPT_STATES: Final = (KeyState.NEXT, KeyState.ACTIVE, KeyState.RETIRING)


def read(kind: str, body: Mapping[str, Any], line: int, known: Known) -> list[Row]:
    """The rows of a line, in the order in which they can be written.

    Raises:
        InvalidValue: with what is wrong first.
    """
    fields = Fields(kind, body)
    with told_in_words():
        rows = list(_READERS[kind](fields, line, known))
        fields.done()
    known.check_number()
    return rows


def _logo(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    known.once("logo", "", line)
    raw = fields.text("image", longest=2 * LARGEST_LOGO)
    try:
        logo = Logo.checked(base64.b64decode(raw, validate=True))
    except binascii.Error as error:
        raise InvalidValue("logo.image is base64") from error
    yield "logos", {"media_type": logo.media_type, "image": logo.image, "changed_at": fields.time("changed_at")}


def _role(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    name = checked_name("role", fields.text("name", longest=100))
    known.once("role", name, line)
    known.roles.add(name)
    yield "roles", {"name": name, "scopes": sorted(checked_scopes(fields.texts("scopes", most=_MOST)))}


def _group(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    name = checked_name("group", fields.text("name", longest=100))
    known.once("group", name, line)
    known.groups.add(name)
    description = checked_description(fields.text_or_none("description") or "")
    yield "user_groups", {"name": name, "description": description, "created_at": fields.time("created_at")}
    for role in dict.fromkeys(fields.texts("roles", most=MOST_ROLES)):
        if role not in known.roles:
            raise InvalidValue(f"there is no role {role[:100]!r}")
        yield "group_roles", {"group_name": name, "role": role}


def _client(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    method = fields.one_of("auth_method", AUTH_METHODS)
    client = Client(
        client_id=fields.text("client_id", longest=100),
        name=fields.text("name", longest=200),
        confidential=fields.truth("confidential"),
        grant_types=frozenset(fields.texts("grant_types", most=100)),
        scopes=frozenset(fields.texts("scopes", most=_MOST)),
        audiences=tuple(fields.texts("audiences", most=_MOST)),
        default_scopes=frozenset(fields.texts("default_scopes", most=_MOST)),
        redirect_uris=tuple(fields.texts("redirect_uris", most=_MOST)),
        origins=tuple(fields.texts("origins", most=_MOST)),
        active=fields.truth("active"),
        auth_method=_method(method),
        options=ClientOptions.from_stored(fields.object_("options")),
        registration_digest=fields.digest_or_none("registration"),
    )
    check_truths(client.options)
    known.once("client", client.client_id, line)
    known.clients.add(client.client_id)
    yield "clients", {**checked_row(client), "created_at": fields.time("created_at")}
    for secret in fields.each("secrets", most=_MOST):
        its_id = secret.uuid("id")
        known.once("client secret", str(its_id), line)
        yield (
            "client_secrets",
            {
                "client_id": client.client_id,
                "id": its_id,
                "digest": secret.digest("digest"),
                "created_at": secret.time("created_at"),
                "expires_at": secret.time_or_none("expires_at"),
            },
        )


def _api_key(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    key_id, digest = fields.uuid("id"), fields.digest("digest")
    known.once("API key", str(key_id), line)
    known.api_keys += 1
    known.once("digest of an API key", digest.hex(), line)
    scopes = checked_scopes(fields.texts("scopes", most=MOST_SCOPES))
    audiences = [checked_audience(one) for one in fields.texts("audiences", most=MOST_AUDIENCES)]
    if not scopes or not audiences:
        raise InvalidValue("an API key has scopes and audiences")
    yield (
        "api_keys",
        {
            "id": key_id,
            "digest": digest,
            "name": checked_title("API key", fields.text("name", longest=200)),
            "scopes": sorted(scopes),
            "audiences": audiences,
            "created_at": fields.time("created_at"),
            "expires_at": fields.time_or_none("expires_at"),
            "revoked_at": fields.time_or_none("revoked_at"),
        },
    )


def _key(fields: Fields, line: int, known: Known) -> Iterator[Row]:
    kid, alg = fields.text("kid", longest=64), fields.one_of("alg", ALGORITHMS)
    known.once("key", kid, line)
    state = fields.one_of("state", _KEPT_STATES)
    known.states.append(state)
    der = known.opened(fields.text("sealed_private", longest=20_000), whose=f"signing_keys {kid}")
    key = SigningKey.from_private(kid, alg, der, validate=True)
    activated_at = fields.time_or_none("activated_at")
    if (activated_at is None) is not (state == KeyState.NEXT):
        raise InvalidValue("a key that is not next was activated at some time")
    yield (
        "signing_keys",
        {
            "kid": kid,
            "alg": alg,
            "state": state,
            "public_jwk": key.public_jwk(),
            "sealed_private": Secret(der),
            "created_at": fields.time("created_at"),
            "published_at": fields.time("published_at"),
            "promote_at": fields.time_or_none("promote_at"),
            "activated_at": activated_at,
            "retiring_at": fields.time_or_none("retiring_at"),
        },
    )


_READERS: Final[Mapping[str, Callable[[Fields, int, Known], Iterator[Row]]]] = {
    "logo": _logo,
    "role": _role,
    "group": _group,
    "client": _client,
    "api_key": _api_key,
    "user": user,
    "key": _key,
}


def _method(name: str) -> AuthMethod:
    return next(known for known in AUTH_METHODS if known == name)

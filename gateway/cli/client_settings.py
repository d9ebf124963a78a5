"""What ``yett client create`` and ``yett client configure`` can set of a client, and how all of it is printed.

What is stored is checked where it is made (``Client``, ``ClientOptions``); here it is read from the command line.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import claim_sources
from policies.claim_mapping import SOURCES
from tenants.client import DEVICE_CODE, TOKEN_EXCHANGE
from tenants.client_options import ClientOptions
from tenants.clients import GRANT_TYPES, Client
from tenants.unverified_token import Malformed, parse_object

Function = TypeVar("Function", bound=Callable[..., Any])

_SHORT_NAMES = {"device_code": DEVICE_CODE, "token_exchange": TOKEN_EXCHANGE}
_LARGEST_JWKS_FILE = 256 * 1024  # bytes
_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
_OPTION_FIELDS = frozenset(entry.name for entry in fields(ClientOptions))

# By the name of the option: what it sets, and what stands there where it is not used.
_UNSET: Mapping[str, tuple[str, Any]] = {
    "scope": ("scopes", frozenset()),
    "default-scope": ("default_scopes", frozenset()),
    "redirect-uri": ("redirect_uris", ()),
    "origin": ("origins", ()),
    "grant": ("grant_types", frozenset()),
    "jwks": ("jwks", None),
    "jwks-uri": ("jwks_uri", None),
    "post-logout-redirect-uri": ("post_logout_redirect_uris", ()),
    "backchannel-logout-uri": ("backchannel_logout_uri", None),
    "claim": ("claim_mapping", ()),
    "client-uri": ("client_uri", None),
    "logo-uri": ("logo_uri", None),
    "policy-uri": ("policy_uri", None),
    "tos-uri": ("tos_uri", None),
}

_OPTIONS = (
    click.option("--name", help="For people. Default: the client id."),
    click.option(
        "--auth-method",
        type=click.Choice(_AUTH_METHODS),
        help="How it proves itself, and no other way. Default: none, or client_secret_basic with --confidential.",
    ),
    click.option(
        "--grant",
        "grants",
        multiple=True,
        type=click.Choice(sorted({*GRANT_TYPES, *_SHORT_NAMES})),
        help="A grant that it may use; may be repeated. The short names stand for the long ones.",
    ),
    click.option("--scope", "scopes", multiple=True, help="A scope that it may ask for; may be repeated."),
    click.option(
        "--default-scope", "default_scopes", multiple=True, help="Granted where it asks for none; may be repeated."
    ),
    click.option(
        "--audience",
        "audiences",
        multiple=True,
        help="The URI of an API that its tokens are for, the default one first; may be repeated. Default: the issuer's "
        "own URL, which opens userinfo and no API.",
    ),
    click.option(
        "--redirect-uri",
        "redirect_uris",
        multiple=True,
        help="Where the login page may lead back to, word for word; may be repeated.",
    ),
    click.option(
        "--origin", "origins", multiple=True, help="A web origin whose pages may call the issuer; may be repeated."
    ),
    click.option(
        "--jwks",
        "jwks_file",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        help="A file with the client's public keys (RFC 7517), for private_key_jwt and signed requests; - is standard "
        "input.",
    ),
    click.option("--jwks-uri", help="Where it publishes its public keys, instead of --jwks."),
    click.option(
        "--first-party/--third-party",
        default=None,
        help="Whether it is the tenant's own: its users are not asked for consent. Default: third-party.",
    ),
    click.option(
        "--require-par/--no-require-par",
        "require_pushed_authorization_requests",
        default=None,
        help="Whether it has to push its authorization requests (RFC 9126). Default: no.",
    ),
    click.option(
        "--require-signed-request/--no-require-signed-request",
        "require_signed_request_object",
        default=None,
        help="Whether it has to sign its authorization requests (RFC 9101). Default: no.",
    ),
    click.option(
        "--dpop-bound/--no-dpop-bound",
        "dpop_bound_access_tokens",
        default=None,
        help="Whether its tokens have to be bound to a key of its own (RFC 9449). Default: no.",
    ),
    click.option(
        "--signed-introspection/--no-signed-introspection",
        "introspection_signed",
        default=None,
        help="Whether introspection answers it with a signed JWT only (RFC 9701). Default: no.",
    ),
    click.option(
        "--post-logout-redirect-uri",
        "post_logout_redirect_uris",
        multiple=True,
        help="Where a logout may lead back to, word for word; may be repeated.",
    ),
    click.option("--backchannel-logout-uri", help="Where it is told that a session has ended, by a logout token."),
    click.option("--client-uri", help="Its home page, shown where consent is asked for."),
    click.option("--logo-uri", help="Its logo."),
    click.option("--policy-uri", help="What it does with people's data, shown where consent is asked for."),
    click.option("--tos-uri", help="Its terms of service, shown where consent is asked for."),
    click.option(
        "--claim",
        "claim_mapping",
        metavar="CLAIM=SOURCE",
        multiple=True,
        callback=claim_sources,
        help="A claim that its ID tokens and userinfo answers have beside the usual ones; may be repeated. SOURCE is "
        f"one of {', '.join(SOURCES)}, or const: and a text.",
    ),
)


def settable(function: Function) -> Function:
    """Give a command every option of a client. It gets them as keyword arguments for ``given``."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    made: Function = decorated
    return made


unset_option = click.option(
    "--unset",
    multiple=True,
    type=click.Choice(sorted(_UNSET)),
    help="An option of `yett client create` that is to be as if it had not been used; may be repeated.",
)


def given(
    *, grants: tuple[str, ...], jwks_file: str | None, unset: tuple[str, ...] = (), **values: Any
) -> dict[str, Any]:
    """What was named, by the names of ``Client`` and ``ClientOptions``.

    Raises:
        UsageError: an option is set and unset at once.
        Refused: the file of keys cannot be read.
    """
    named: dict[str, Any] = {
        "grant_types": frozenset(_SHORT_NAMES.get(grant, grant) for grant in grants),
        "jwks": None if jwks_file is None else _read_jwks(jwks_file),
        **values,
    }
    found = {name: value for name, value in named.items() if value is not None and value not in ((), frozenset())}
    for name in ("scopes", "default_scopes"):
        if name in found:
            found[name] = frozenset(found[name])
    for option in unset:
        name, nothing = _UNSET[option]
        if name in found:
            raise click.UsageError(f"--{option} and --unset {option} cannot both be meant")
        found[name] = nothing
    if "auth_method" in found:
        found["confidential"] = found["auth_method"] != "none"
    return found


def with_changes(client: Client, changes: Mapping[str, Any]) -> Client:
    """The client with what was named. It is checked where it is stored."""
    own = {name: value for name, value in changes.items() if name not in _OPTION_FIELDS}
    options = {name: value for name, value in changes.items() if name in _OPTION_FIELDS}
    return replace(client, **own, options=replace(client.options, **options))


def fields_of(found: Client) -> dict[str, object]:
    """A client as it is printed."""
    options = found.options
    return {
        "client_id": found.client_id,
        "name": found.name,
        "kind": "confidential" if found.confidential else "public",
        "auth_method": found.method,
        "active": found.active,
        "first_party": options.first_party,
        "registered_itself": found.registration_digest is not None,
        "grant_types": found.grant_types,
        "scopes": found.scopes,
        "default_scopes": found.default_scopes,
        "audiences": found.audiences,
        "redirect_uris": found.redirect_uris,
        "post_logout_redirect_uris": options.post_logout_redirect_uris,
        "origins": found.origins,
        "jwks": None if options.jwks is None else [str(key.get("kid", "-")) for key in options.jwks["keys"]],
        "jwks_uri": options.jwks_uri,
        "require_par": options.require_pushed_authorization_requests,
        "require_signed_request": options.require_signed_request_object,
        "dpop_bound": options.dpop_bound_access_tokens,
        "signed_introspection": options.introspection_signed,
        "backchannel_logout_uri": options.backchannel_logout_uri,
        "claims": [f"{claim}={source}" for claim, source in options.claim_mapping],
        "client_uri": options.client_uri,
        "logo_uri": options.logo_uri,
        "policy_uri": options.policy_uri,
        "tos_uri": options.tos_uri,
        "created_at": found.created_at,
    }


def _read_jwks(file: str) -> dict[str, Any]:
    with click.open_file(file, "rb") as opened:
        found = parse_object(opened.read(_LARGEST_JWKS_FILE))
    if isinstance(found, Malformed):
        raise Refused(f"{file} is not a JWK set: one JSON object with a list of keys (RFC 7517 section 5)")
    return found

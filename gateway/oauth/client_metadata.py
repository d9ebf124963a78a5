"""Client metadata (RFC 7591 section 2): from JSON to a client, and back. One table says what can be registered.

A member that the table does not have is ignored, as section 2 asks for; so nobody can register that a client is the
tenant's own, which APIs it is for, or what it is called at the token endpoint. A client that changes itself keeps what
the tenant gave it beyond that, what the tenant demands of it, and gets nothing back that the tenant took from it. Not
who may register (registration.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gateway.oauth.errors import InvalidClientMetadata, InvalidRedirectUri
from tenants.client import DEVICE_CODE, Client, checked_row
from tenants.client_options import AUTH_METHODS, AuthMethod, ClientOptions
from tenants.errors import InvalidValue
from tenants.names import checked_origin, checked_redirect_uri, checked_title

Metadata = Mapping[str, Any]

GRANT_TYPES = frozenset({"authorization_code", "refresh_token", DEVICE_CODE})
"""Without those that need no person, or a person's password."""

SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
"""Who the person is, and nothing of any API."""

_METHODS: Mapping[str, AuthMethod] = {method: method for method in AUTH_METHODS if method != "client_secret"}
_CODE = "authorization_code"
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by Unicode's word, and nothing to be seen
_MOST_REDIRECT_URIS = 20
_MOST_TEXTS = 100


@dataclass(frozen=True, slots=True)
class _Option:
    """A member that is a field of ``ClientOptions`` of the same name."""

    name: str
    read: Callable[[str, Any], Any]


def text(name: str, value: Any) -> str:
    """A JSON string that says something."""
    if not isinstance(value, str) or not value:
        raise InvalidClientMetadata(member=name, detail="no text")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidClientMetadata(member=name, detail="neither true nor false")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MOST_TEXTS:
        raise InvalidClientMetadata(member=name, detail="no list, or a long one")
    return tuple(dict.fromkeys(text(name, item) for item in value))


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidClientMetadata(member=name, detail="no object")
    return value


_OPTIONS = (
    _Option("client_uri", text),
    _Option("logo_uri", text),
    _Option("policy_uri", text),
    _Option("tos_uri", text),
    _Option("jwks_uri", text),
    _Option("jwks", _object),
    _Option("post_logout_redirect_uris", _texts),
    _Option("backchannel_logout_uri", text),
    _Option("dpop_bound_access_tokens", _truth),
    _Option("require_pushed_authorization_requests", _truth),
    _Option("require_signed_request_object", _truth),
)
_DEMANDS = tuple(option.name for option in _OPTIONS if option.read is _truth)
_SHOWN = ("client_uri", "logo_uri", "policy_uri", "tos_uri")


def read(metadata: Metadata, client: Client) -> Client:
    """``client`` with everything of the table as it was sent; what was not sent is as if it had never been.

    Raises:
        InvalidRedirectUri: one that cannot be registered, too many, or none where one is needed.
        InvalidClientMetadata: naming the member.
    """
    sent = {name: value for name, value in metadata.items() if value is not None}  # RFC 7592 section 2.2
    is_new = client.created_at is None
    method = _auth_method(sent)
    grants = _grant_types(sent, GRANT_TYPES if is_new else client.grant_types)
    redirects = _redirect_uris(sent, needed=_CODE in grants)
    scopes = _scopes(sent, SCOPES if is_new else client.scopes)
    options = _options(sent, client.options)
    _check_shown(options, redirects)
    made = replace(
        client,
        name=_name(sent, client.client_id),
        confidential=method != "none",
        auth_method=method,
        grant_types=grants,
        scopes=scopes,
        default_scopes=client.default_scopes & scopes,
        redirect_uris=redirects,
        origins=_origins(redirects) if method == "none" else (),
        options=options,
    )
    try:
        checked_row(made)
    except InvalidValue as error:
        raise InvalidClientMetadata(detail=str(error)) from error
    return made


def written(client: Client) -> dict[str, Any]:
    """All that is registered of it (RFC 7591 section 3.2.1)."""
    known: dict[str, Any] = {
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": client.method,
        "grant_types": sorted(client.grant_types),
        "response_types": ["code"] if _CODE in client.grant_types else [],
        "scope": " ".join(sorted(client.scopes)),
    }
    for option in _OPTIONS:
        value = getattr(client.options, option.name)
        if value is not None:
            known[option.name] = list(value) if isinstance(value, tuple) else value
    return known


def _auth_method(sent: Metadata) -> AuthMethod:
    name = "token_endpoint_auth_method"
    method = _METHODS.get(text(name, sent.get(name, "client_secret_basic")))
    if method is None:
        raise InvalidClientMetadata(member=name, detail="unknown")
    return method


def _grant_types(sent: Metadata, most: frozenset[str]) -> frozenset[str]:
    """RFC 7591 section 2.1: grants and response types say the same."""
    grants = frozenset(_texts("grant_types", sent.get("grant_types", [_CODE])))
    if not grants <= most:
        raise InvalidClientMetadata(member="grant_types", detail=" ".join(sorted(grants - most)))
    expected = {"code"} if _CODE in grants else set()
    if set(_texts("response_types", sent.get("response_types", sorted(expected)))) != expected:
        raise InvalidClientMetadata(member="response_types", detail="not what the grant types lead to")
    return grants


def _redirect_uris(sent: Metadata, *, needed: bool) -> tuple[str, ...]:
    try:
        uris = _texts("redirect_uris", sent.get("redirect_uris", []))
    except InvalidClientMetadata as error:
        raise InvalidRedirectUri(detail=error.detail) from error
    if len(uris) > _MOST_REDIRECT_URIS or (needed and not uris):
        raise InvalidRedirectUri(detail=f"{len(uris)} of them")
    try:
        return tuple(checked_redirect_uri(uri) for uri in uris)
    except InvalidValue as error:
        raise InvalidRedirectUri(detail=str(error)) from error


def _name(sent: Metadata, client_id: str) -> str:
    try:
        name = checked_title("client", text("client_name", sent.get("client_name", client_id)))
    except InvalidValue as error:
        raise InvalidClientMetadata(member="client_name", detail=str(error)) from error
    if not any(character.isalnum() and character not in _FILLERS for character in name):
        raise InvalidClientMetadata(member="client_name", detail="no letter and no digit")
    return name


def _scopes(sent: Metadata, most: frozenset[str]) -> frozenset[str]:
    """One that it may not have is refused rather than left out: an application would find out later, and elsewhere."""
    if "scope" not in sent:
        return most
    scopes = frozenset(text("scope", sent["scope"]).split(" ")) - {""}
    if not scopes <= most:
        raise InvalidClientMetadata(member="scope", detail=" ".join(sorted(scopes - most)))
    return scopes


def _check_shown(options: ClientOptions, redirects: tuple[str, ...]) -> None:
    """What people are shown before they consent is where the answer goes: else one application could show another's."""
    hosts = {urlsplit(uri).hostname for uri in redirects}
    for name in _SHOWN:
        uri = getattr(options, name)
        if uri is not None and urlsplit(uri).hostname not in hosts:
            raise InvalidClientMetadata(member=name, detail="not on the host of a redirect URI")


def _origins(redirects: tuple[str, ...]) -> tuple[str, ...]:
    """Where the pages of an application without a secret come from: they call the token endpoint themselves (CORS)."""
    found = []
    for uri in redirects:
        scheme, _, rest = uri.partition("://")
        try:
            found.append(checked_origin(f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"))
        except InvalidValue:  # an app's own scheme
            continue
    return tuple(dict.fromkeys(found))


def _options(sent: Metadata, had: ClientOptions) -> ClientOptions:
    """The tenant's own settings of it stay: whether it is first-party, what its claims are. So does what is demanded of
    it: nobody knows any longer whether it was the tenant who began to.
    """
    blank = ClientOptions()
    options = replace(had, **{option.name: getattr(blank, option.name) for option in _OPTIONS})
    for option in _OPTIONS:
        if option.name in sent:
            value = {option.name: option.read(option.name, sent[option.name])}
            try:
                replace(blank, **value).checked()
            except InvalidValue as error:
                raise InvalidClientMetadata(member=option.name, detail=str(error)) from error
            options = replace(options, **value)
    return replace(options, **{name: getattr(had, name) or getattr(options, name) for name in _DEMANDS})

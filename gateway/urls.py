"""The gateway's own URLs, derived from the configuration alone and never from a request's ``Host`` (design section 2).

Owns the paths below an issuer. An issuer is compared as a string (RFC 8414 section 3.3), so it is built here only.
"""

from urllib.parse import urlsplit

from gateway.settings import is_slug as is_slug

PLATFORM = "platform"
RESERVED_SLUGS = frozenset({PLATFORM})

_TENANT_PREFIX = "/t/"
_DISCOVERY = "/.well-known/openid-configuration"
_AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"


def issuer(public_url: str, slug: str) -> str:
    """``{public_url}/t/{slug}``. Raises ``ValueError`` where the slug is none: it is checked long before this."""
    if not is_slug(slug):
        raise ValueError("an issuer needs a tenant's slug")
    return f"{public_url}{_TENANT_PREFIX}{slug}"


def slug_in_path(path: str) -> tuple[str, str] | None:
    """``/t/acme/token`` as ``("acme", "/token")``; None below no tenant. Nothing is folded or trimmed."""
    if not path.startswith(_TENANT_PREFIX):
        return None
    slug, slash, rest = path.removeprefix(_TENANT_PREFIX).partition("/")
    return (slug, f"{slash}{rest}") if is_slug(slug) else None


def may_be_named(slug: str) -> bool:
    """Whether a new tenant may have this slug: well formed and not reserved for the platform's own."""
    return is_slug(slug) and slug not in RESERVED_SLUGS


def discovery(issuer: str) -> str:
    """OIDC Discovery 1.0 section 4: appended to the issuer."""
    return f"{issuer}{_DISCOVERY}"


def authorization_server_metadata(issuer: str) -> str:
    """RFC 8414 section 3.1: inserted between the issuer's host and its path."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{_AUTHORIZATION_SERVER}{parts.path}"


def jwks(issuer: str) -> str:
    return f"{issuer}/jwks"


def token(issuer: str) -> str:
    return f"{issuer}/token"


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as an ``Origin`` header carries them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def api_base(public_url: str, api_host: str) -> str:
    """Where a client finds the APIs of this host, by the scheme that the public listener is reached with."""
    return f"{urlsplit(public_url).scheme}://{api_host}"


def resource_metadata(api_base: str) -> str:
    """RFC 9728 section 3.1: where an API's protected resource metadata is."""
    return f"{api_base}/.well-known/oauth-protected-resource"

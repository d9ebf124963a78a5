"""The gateway's own URLs, derived from the configuration alone and never from a request's ``Host`` (design section 2).

Owns the paths below an issuer. An issuer is compared as a string (RFC 8414 section 3.3), so it is built here only.
"""

from urllib.parse import urlsplit

from gateway.settings import is_slug as is_slug

PLATFORM = "platform"
RESERVED_SLUGS = frozenset({PLATFORM})


def issuer(public_url: str, slug: str) -> str:
    """``{public_url}/t/{slug}``. Raises ``ValueError`` where the slug is none: it is checked long before this."""
    if not is_slug(slug):
        raise ValueError("an issuer needs a tenant's slug")
    return f"{public_url}/t/{slug}"


def may_be_named(slug: str) -> bool:
    """Whether a new tenant may have this slug: well formed and not reserved for the platform's own."""
    return is_slug(slug) and slug not in RESERVED_SLUGS


def base(issuer: str) -> str:
    """The path that everything below an issuer begins with: ``/t/acme``, or nothing where it has a host to itself."""
    return urlsplit(issuer).path


def below(issuer: str, path: str) -> str:
    """An endpoint of an issuer."""
    return f"{issuer}/{path}"


def host(url: str) -> str:
    """The host of a URL, with its port where it names one."""
    return urlsplit(url).netloc

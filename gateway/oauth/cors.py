"""Cross-origin calls of the token endpoint: allowed to the union of the tenant's clients' origins (Fetch, CORS).

No cookie takes part, so no answer carries ``Access-Control-Allow-Credentials``.
"""

from collections.abc import Sequence, Set

from policies.web_origin import allowed

_ALLOWED_HEADERS = "Authorization, Content-Type, DPoP, X-Requested-With"
_EXPOSED_HEADERS = "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id"
_PREFLIGHT_SECONDS = "600"

PUBLIC = {"Access-Control-Allow-Origin": "*"}
"""For what anybody may read: discovery and keys."""


def answer_headers(origin: str | None, origins: Set[str]) -> dict[str, str]:
    """Header fields of an answer to a page of ``origin``, refusals included: a page must be able to read why."""
    headers = {"Vary": "Origin"}
    if origin is not None and allowed(origin, origins):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    return headers


def preflight_headers(origin: str | None, origins: Set[str], methods: Sequence[str]) -> dict[str, str]:
    """Header fields of the answer to a preflight; without the permission the browser stops by itself."""
    headers = answer_headers(origin, origins)
    if "Access-Control-Allow-Origin" in headers:
        del headers["Access-Control-Expose-Headers"]
        headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    return headers

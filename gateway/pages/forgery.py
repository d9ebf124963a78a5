"""No form is taken that another site, another session or nobody's page has sent (cross-site request forgery).

Two locks: the browser's word about where the request came from (``Origin``, else ``Sec-Fetch-Site``: Fetch Metadata),
and a token in the form that only a page for this very cookie could have had.
"""

import base64
import hashlib
import hmac

from starlette.requests import Request

from gateway.errors import Problem

_PURPOSE = b"yett form"


class Forged(Problem):
    """``reason`` is one of origin_foreign, origin_missing, form_token_wrong."""

    status = 403
    code = "request_forged"
    public = "This form is out of date, or was not sent from our own page. Load the page again and send it once more."


def form_token(secret: str) -> str:
    """What the hidden field ``form_token`` carries: derived from the cookie's secret, and not to be turned back."""
    mac = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def check(request: Request, *, public_origin: str, secret: str | None, presented: str | None) -> None:
    """Let a form pass that our own page sent from the browser which holds ``secret`` (its cookie's value).

    Raises:
        Forged: it did not, or that cannot be told.
    """
    _check_origin(request, public_origin)
    if secret is None or presented is None:
        raise Forged(reason="form_token_wrong", detail="no cookie" if secret is None else "no form_token")
    if not hmac.compare_digest(presented.encode(errors="surrogatepass"), form_token(secret).encode()):
        raise Forged(reason="form_token_wrong")


def _check_origin(request: Request, public_origin: str) -> None:
    """RFC 6454 section 7.3: ``null`` is an origin that the browser will not tell, so it is nobody's."""
    match request.headers.getlist("origin"):
        case [origin] if origin == public_origin:
            return
        case [_, *_]:
            raise Forged(reason="origin_foreign")
    match request.headers.getlist("sec-fetch-site"):
        case ["same-origin"]:
            return
        case [_, *_]:
            raise Forged(reason="origin_foreign")
    raise Forged(reason="origin_missing")

"""What the form of a question carries of what its person was shown: only who was asked it, in this session, can send
the answer back, and to nothing else than that.

Owns the mark. Not what a question is about, nor what becomes of an answer to another one.
"""

import base64
import hashlib
import hmac
import json

_PURPOSE = b"yett shown "


def mark(secret: str, *what: str) -> str:
    """Of ``what`` stood on the page, by the secret of the cookie that the form is bound to."""
    mac = hmac.digest(secret.encode(), _PURPOSE + json.dumps(what).encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def is_mark(presented: str | None, secret: str | None, *what: str) -> bool:
    """Whether ``presented`` is the mark of just this."""
    if presented is None or secret is None:
        return False
    return hmac.compare_digest(presented.encode(errors="surrogatepass"), mark(secret, *what).encode())

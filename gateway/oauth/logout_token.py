"""Making a logout token: what a client is told of a session's end (OpenID Connect Back-Channel Logout 1.0 section 2.4).

Its type is ``logout+jwt`` and it has no nonce, so it is neither an access token nor an ID token anywhere. It lives for
two minutes: each attempt to deliver it makes a new one.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from tenants.jose import SigningKey

LOGOUT_TOKEN_TYPE: Final = "logout+jwt"  # noqa: S105 - a media type, not a password
LIFETIME = timedelta(minutes=2)
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def sign_logout_token(
    key: SigningKey, *, issuer: str, client_id: str, subject: str, session_id: UUID, now: datetime
) -> str:
    """The signed token, for this client only."""
    issued_at = int(now.timestamp())
    return key.sign(
        LOGOUT_TOKEN_TYPE,
        {
            "iss": issuer,
            "sub": subject,
            "aud": client_id,
            "iat": issued_at,
            "exp": issued_at + int(LIFETIME.total_seconds()),
            "jti": str(uuid4()),
            "events": {_EVENT: {}},
            "sid": str(session_id),
        },
    )

"""The rows of the table, and the kinds that they are of: what a bar is set for (bars.py)."""

LOGIN = "/token login"
PASSWORD = "/token password, a code is to follow"
OTP = "/token code of the authenticator"
REFRESH = "/token refresh"
REDEEM = "/token code flow"
AUTHORIZE = "/authorize"
AUTHORIZED = "/authorize, logged in"
LOGIN_PAGE = "/login"
OTP_PAGE = "/login/otp"
ACCOUNT_PAGE = "/account"
READ = "/orders/N"
WRITE = "/orders"
PUBLIC = "/public/N"
WRONG = "/token wrong password"
REVOKE = "/revoke"
PROBE = "/orders/N once revoked"
REFUSED = "revoked until refused"

KINDS = {
    "login": (LOGIN, OTP),
    "password": (PASSWORD,),
    "page": (LOGIN_PAGE, OTP_PAGE, ACCOUNT_PAGE),
    "code": (REDEEM,),
    "authorize": (AUTHORIZE, AUTHORIZED),
    "refresh": (REFRESH,),
    "api": (READ, WRITE, PUBLIC),
    "stuffing": (WRONG,),
    "revoke": (REVOKE,),
    "revoked": (REFUSED,),
}


def told_to_wait(row: str, status: int) -> str:
    """Where an answer with ``Retry-After`` is counted: it would make its row look faster than it is."""
    return f"{row} [{status}, told to wait]"

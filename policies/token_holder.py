"""Which clients an access token concerns: the one that it was issued to, those that stand for an API that it is for.

A client stands for the APIs among its ``audiences``. The issuer itself is none of those, though it (as it was when the
client was made) is the audience of whatever is for no API: else all clients that say nothing of an API would stand for
each other's tokens. What a token does not concern, a client can neither look into (RFC 7662 section 4) nor exchange
(RFC 8693 section 1.1). Not whether the token is valid (claims.py, and its signature).
"""

from collections.abc import Collection, Set

from policies.decision import Allow, Deny
from policies.principal import Principal


def may_hold(principal: Principal, *, client_id: str, audiences: Collection[str], issuers: Set[str]) -> Allow | Deny:
    """Whether the token of ``principal`` concerns the client with these APIs. Denial: ``token_foreign``.

    ``issuers`` are all that its tenant has and ever had.
    """
    if principal.client_id == client_id:
        return Allow()
    apis = principal.audiences - issuers
    return Deny("token_foreign") if apis.isdisjoint(audiences) else Allow()

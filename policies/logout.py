"""What an application may have of a logout (OpenID Connect RP-Initiated Logout 1.0): whom it speaks for, whether the
person is asked, where they go afterwards.

Facts are verified before they come here: a hint is an ID token of this very issuer, over or not.
"""

from collections.abc import Collection
from dataclasses import dataclass

from policies.decision import Allow, Challenge, Deny

CONFIRM_STEP = "confirm"


@dataclass(frozen=True, slots=True)
class Hint:
    """Whose ID token came with the request (``client_id`` is whom it was issued to), of which session."""

    subject: str
    client_id: str
    session_id: str | None


def client_of(named: str | None, hint: Hint | None) -> str | Deny | None:
    """The client that sent the person, by the hint or by its own word; the two must not differ (section 2)."""
    if hint is None:
        return named
    if named is not None and named != hint.client_id:
        return Deny("client_mismatch")
    return hint.client_id


def may_return(address: str, *, registered: Collection[str] | None) -> Allow | Deny:
    """Whether to send the person there: compared as a string with what the client registered for this (section 3).
    ``registered`` is None where no client is known.
    """
    if registered is None:
        return Deny("client_unknown")
    if address not in registered:
        return Deny("post_logout_redirect_uri_unregistered")
    return Allow()


def may_end(hint: Hint | None, *, session_id: str, subject: str) -> Allow | Challenge:
    """Whether this session may end at once. Without the ID token of this very session any page could have sent the
    person here, so they are asked (section 6).
    """
    if hint is not None and hint.session_id == session_id and hint.subject == subject:
        return Allow()
    return Challenge(CONFIRM_STEP)

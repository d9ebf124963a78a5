"""What is kept of an authorization request that waits: for its person, or, where it was pushed, for the browser.

Strangers decide how many of these there are. So they are small, and have nothing in them that nobody will read again.
Owns which parameters those are. Not what they may say (authorization_request.py).
"""

from typing import Final

from gateway.form import Form

LONGEST: Final = 16_384
"""Characters, in all."""

_READ_AGAIN: Final = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "acr_values",
    "login_hint",
    "id_token_hint",
    "claims",
    "resource",
    "dpop_jkt",
)


def kept(form: Form) -> dict[str, list[str]]:
    """The parameters, as JSON."""
    return {name: list(values) for name in _READ_AGAIN if (values := form.many(name))}


def is_too_long(form: Form) -> bool:
    """Whether it is more than anybody would keep."""
    return sum(len(value) for values in kept(form).values() for value in values) > LONGEST

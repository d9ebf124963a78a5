"""What a request says of its client, unproved (RFC 6749 section 2.3, RFC 7521 section 4.2). Owns the reading of it.

A client presents itself in one way at a time: HTTP Basic, a secret in the form, an assertion in the form, or its id
alone. Whether that is the way that it registered, and whether it is true, is not judged here (client_auth.py).
"""

import base64
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidClient, InvalidRequest
from gateway.form import Form
from gateway.oauth.errors import InvalidClientAssertion
from tenants.unverified_token import Malformed, UnverifiedToken, parse_unverified

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CREDENTIALS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""Parameters that prove a client: they belong to the endpoint and to nothing that a request is about."""


class PresentedClient(NamedTuple):
    """Which client it says that it is, and by what. No id: it names none (FastAPI's own form).

    ``secret_in`` says where the secret stood; at most one of ``unverified_secret`` and ``assertion`` is there.
    """

    client_id: str | None = None
    unverified_secret: str | None = None
    secret_in: Literal["basic", "form"] | None = None
    assertion: UnverifiedToken | None = None

    def __repr__(self) -> str:
        return f"PresentedClient({self.client_id!r}, secret_in={self.secret_in!r})"  # the rest is secret


def presented_client(form: Form, authorizations: Sequence[str]) -> PresentedClient:
    """Read the client from HTTP Basic, from a secret in the form, or from an assertion; never from two of them.

    Raises:
        InvalidRequest: two methods at once, two ids, or half of an assertion.
        InvalidClient: an ``Authorization`` header that is no Basic, or a malformed one.
        InvalidClientAssertion: an assertion that is no JWT, or that is about another client than the form.
    """
    if len(authorizations) > 1:
        raise InvalidRequest(reason="authorization_repeated")
    basic = _basic(authorizations[0]) if authorizations else PresentedClient()
    form_id, form_secret = form.optional("client_id"), form.optional("client_secret")
    assertion = _assertion(form)
    if assertion is not None:
        if form_secret is not None or basic.client_id is not None:
            raise InvalidRequest(reason="client_presented_twice")
        return PresentedClient(_asserted(assertion, form_id), assertion=assertion)
    if basic.client_id is not None:
        if form_secret is not None or form_id not in (None, basic.client_id):
            raise InvalidRequest(reason="client_presented_twice")
        return basic
    return PresentedClient(form_id, form_secret, None if form_secret is None else "form")


def _assertion(form: Form) -> UnverifiedToken | None:
    sent, kind = form.optional("client_assertion"), form.optional("client_assertion_type")
    if sent is None and kind is None:
        return None
    if sent is None or kind is None:
        raise InvalidRequest(reason="client_assertion_incomplete")
    if kind != ASSERTION_TYPE:
        raise InvalidRequest(reason="client_assertion_type_unknown")
    match parse_unverified(sent.encode()):
        case Malformed(reason):
            raise InvalidClientAssertion(reason="assertion_malformed", detail=reason)
        case UnverifiedToken() as assertion:
            return assertion


def _asserted(assertion: UnverifiedToken, form_id: str | None) -> str:
    """The client that the assertion is about (RFC 7523 section 3): ``client_id`` may be left out, and must agree."""
    subject = assertion.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise InvalidClientAssertion(reason="assertion_subject_missing")
    if form_id not in (None, subject):
        raise InvalidClientAssertion(reason="assertion_of_another_client")
    return subject


def _basic(authorization: str) -> PresentedClient:
    """RFC 6749 section 2.3.1: id and secret are form-encoded inside of Basic. An empty pair is no client: Swagger UI
    sends one where nothing was filled in."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient(reason="authorization_scheme")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        if not colon:
            raise InvalidClient(reason="basic_malformed")
        unverified_id, unverified_secret = _unquoted(client_id), _unquoted(secret)
    except ValueError as error:  # no Base64, not even ASCII, or no UTF-8
        raise InvalidClient(reason="basic_malformed") from error
    if "\0" in unverified_id or "\0" in unverified_secret or (unverified_secret and not unverified_id):
        raise InvalidClient(reason="basic_malformed")
    return PresentedClient(unverified_id or None, unverified_secret or None, "basic" if unverified_secret else None)


def _unquoted(part: bytes) -> str:
    part = part.replace(b"+", b" ")
    return (unquote_to_bytes(part) if b"%" in part else part).decode()

"""Where the parameters of an authorization request come from: from its address or form, from a request that the client
pushed (RFC 9126 section 4), or from one that has begun and comes back from the login.

Whatever the source, everything is checked again (authorization_request.py). Beside ``client_id``, nothing that stands
in the address of a pushed or begun request counts (RFC 9101 section 5).
"""

from dataclasses import dataclass

from gateway.authn.begun_request import PARAMETER
from gateway.errors import InvalidRequest
from gateway.form import Form
from gateway.oauth.errors import InvalidRequestUri, RequestUriNotSupported
from tenants.authorization_requests import REQUEST_URI
from tenants.begun_requests import BegunRequest
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class Source:
    """The parameters. ``pushed``: by their client; ``begun``: the request waits already, under ``secret``."""

    form: Form
    pushed: bool = False
    begun: BegunRequest | None = None
    secret: str | None = None


def is_kept(sent: Form) -> bool:
    """Whether it names a request that we have already, instead of being one."""
    return sent.optional(PARAMETER) is not None or sent.optional("request_uri") is not None


async def read_source(store: TenantStore, sent: Form) -> Source:
    """The parameters of the request that was sent. A pushed one is used up by it, whatever comes of it.

    Raises:
        InvalidRequest: it waited for too long, or was answered already.
        InvalidRequestUri: the ``request_uri`` is unknown, another client's, was used or is over.
        RequestUriNotSupported: it is none of ours.
    """
    secret = sent.optional(PARAMETER)
    if secret is not None:
        begun = await store.begun_requests.find(secret)
        if begun is None:
            raise InvalidRequest(reason="request_over")
        return Source(Form.from_stored(begun.parameters), begun=begun, secret=secret)
    request_uri = sent.optional("request_uri")
    if request_uri is None:
        return Source(sent)
    if sent.optional("request") is not None:  # RFC 9101 section 5
        raise InvalidRequest(reason="request_object_twice")
    if not request_uri.startswith(REQUEST_URI):
        raise RequestUriNotSupported
    pushed = await store.authorization_requests.find(request_uri)
    if pushed is None:
        raise InvalidRequestUri(reason="request_uri_unknown")
    if pushed.client_id != sent.optional("client_id"):  # it stays its client's to use
        raise InvalidRequestUri(reason="client_mismatch")
    if not await store.authorization_requests.consume(pushed):
        raise InvalidRequestUri(reason="request_uri_used")
    return Source(Form.from_stored({**pushed.parameters, "client_id": [pushed.client_id]}), pushed=True)

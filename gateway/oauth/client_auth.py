"""Which client is asking at the token endpoint, and whether it is the one it says (RFC 6749 sections 2.3 and 3.2.1)."""

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidClient, InvalidRequest
from gateway.form import Form
from tenants.clients import Client
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class PresentedClient:
    """What a request says of its client, unproved. Both None: it names none (FastAPI's own form)."""

    client_id: str | None = None
    unverified_secret: str | None = field(default=None, repr=False)


def presented_client(form: Form, authorizations: list[str]) -> PresentedClient:
    """Read the client from HTTP Basic or from the form, never from both.

    Raises:
        InvalidRequest: two methods at once, or two ids.
        InvalidClient: an ``Authorization`` header that is no Basic, or a malformed one.
    """
    if len(authorizations) > 1:
        raise InvalidRequest(reason="authorization_repeated")
    basic = _basic(authorizations[0]) if authorizations else PresentedClient()
    form_id, form_secret = form.optional("client_id"), form.optional("client_secret")
    if basic.client_id is None:
        return PresentedClient(form_id, form_secret)
    if form_secret is not None or form_id not in (None, basic.client_id):
        raise InvalidRequest(reason="client_presented_twice")
    return basic


async def authenticate_client(store: TenantStore, presented: PresentedClient, *, grant_type: str) -> Client:
    """The client, proved by exactly the method that its kind asks for.

    A password form that names no client stands for the tenant's default client, where one is configured.

    Raises:
        InvalidRequest: no client is named, and none stands in.
        InvalidClient: unknown, disabled, a wrong secret, a missing one, or one that a public client should not have.
    """
    client_id = presented.client_id
    if client_id is None:
        tenant = await store.settings.get()
        if grant_type != "password" or tenant is None or tenant.default_client_id is None:
            raise InvalidRequest(reason="client_missing")
        client_id = tenant.default_client_id
    client = await store.clients.get(client_id)
    secret = presented.unverified_secret
    # Asked for unknown clients as well, so that the time of an answer does not tell which ids exist.
    secret_matches = secret is not None and await store.clients.has_secret(client_id, secret)
    if client is None:
        raise InvalidClient(reason="client_unknown")
    if client.confidential and not secret_matches:
        raise InvalidClient(reason="client_secret_missing" if secret is None else "client_secret_wrong")
    if not client.confidential and secret is not None:
        raise InvalidClient(reason="client_is_public")
    if not client.active:
        raise InvalidClient(reason="client_disabled")
    return client


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
        unquoted = [unquote_to_bytes(part.replace(b"+", b" ")).decode() for part in (client_id, secret)]
    except ValueError as error:  # no Base64, not even ASCII, or no UTF-8
        raise InvalidClient(reason="basic_malformed") from error
    if any("\0" in part for part in unquoted) or (unquoted[1] and not unquoted[0]):
        raise InvalidClient(reason="basic_malformed")
    return PresentedClient(unquoted[0] or None, unquoted[1] or None)

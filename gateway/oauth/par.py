"""``POST /par``: a client hands its authorization request in, and gets a ``request_uri`` for the browser (RFC 9126).

The client proves itself as at the token endpoint, and the request is judged in full, so that what is wrong is told to
the client and not to a person. Owns what is kept of a request. Not its use (authorize.py), which judges it again.
"""

from fastapi import Response
from fastapi.responses import JSONResponse

from gateway.errors import InvalidRequest
from gateway.form import Form
from gateway.oauth import authorization_request
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.endpoint import Call
from gateway.oauth.kept_request import kept
from gateway.oauth.request_object import RequestObjects
from gateway.tenancy import step
from tenants.client import Client
from tenants.store import Store


class PushedAuthorization:
    """The pushed authorization request endpoint of every tenant."""

    def __init__(self, store: Store, clients: ClientAuth, objects: RequestObjects, proofs: DpopProofs) -> None:
        self._store = store
        self._clients = clients
        self._objects = objects
        self._proofs = proofs

    async def push(self, call: Call) -> Response:
        """201 with the ``request_uri`` and the seconds for which it may be used, once, by this client.

        Raises:
            OAuthError: the client is not the one that it says, or the request is one that it may not make.
        """
        found = await self._clients.recognise(call, grant_type="authorization_code")
        client, tenant = found.client, found.issuer.tenant
        if call.form.text("request_uri") is not None:
            raise InvalidRequest(reason="request_uri_not_allowed")
        thumbprint = await self._proofs.prove(
            call
        )  # first: who is sent away for a nonce comes back with the same object
        form = await self._objects.unpack(_named(call.form, client), client=client, tenant=tenant)
        form = _bound(form, thumbprint)
        authorization_request.read(form, tenant=tenant, client=client)
        lifetime = tenant.lifetimes.pushed_request
        async with step(self._store, call.tenant.id) as store:
            request_uri = await store.authorization_requests.push(client.client_id, kept(form), lifetime)
        answer = {"request_uri": request_uri, "expires_in": int(lifetime.total_seconds())}
        return JSONResponse(answer, status_code=201)


def _named(form: Form, client: Client) -> Form:
    """With the client's id, which a client that proves itself by Basic may have left out."""
    return Form.from_stored({**form.stored(), "client_id": [client.client_id]})


def _bound(form: Form, thumbprint: str | None) -> Form:
    """RFC 9449 section 10.1: a proof says which key the code is for, and ``dpop_jkt`` says no other."""
    if thumbprint is None:
        return form
    if form.optional("dpop_jkt") not in (None, thumbprint):
        raise InvalidRequest(reason="dpop_jkt_mismatch")
    return Form.from_stored({**form.stored(), "dpop_jkt": [thumbprint]})

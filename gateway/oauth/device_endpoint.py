"""``POST /device``: where a device without a browser begins (RFC 8628 sections 3.1 and 3.2).

It gets a code for itself, and one that a person types into the page at the same address. Owns the checks that the
client and its request go through now; the grant repeats them, and those of the person, when the code is redeemed.
"""

from urllib.parse import urlencode

from fastapi import Response
from fastapi.responses import JSONResponse

from gateway.errors import InvalidScope
from gateway.oauth.access_token import audiences_for
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.endpoint import Call
from gateway.tenancy import step
from policies.decision import Deny
from policies.device_code import INTERVAL
from policies.scope import Granted, granted
from tenants.client import DEVICE_CODE
from tenants.store import Store


class DeviceEndpoint:
    """The device authorization endpoint of every tenant."""

    def __init__(self, store: Store, clients: ClientAuth) -> None:
        self._store = store
        self._clients = clients

    async def start(self, call: Call) -> Response:
        """Both codes, and where to type the short one. ``scope`` and ``resource`` are fixed here, for good.

        Raises:
            OAuthError: the client is not the one that it says, or asks for what it may not have.
        """
        found = await self._clients.recognise(call, grant_type=DEVICE_CODE)
        client, lifetime = found.client, found.issuer.tenant.lifetimes.device_code
        scopes = granted(
            call.form.optional("scope"),
            client_scopes=client.scopes,
            default_scopes=client.default_scopes,
            user_scopes=None,  # who the person is shows later: what they may give is asked on the page, and at the end
        )
        match scopes:
            case Deny(reason):
                raise InvalidScope(reason=reason)
            case Granted(allowed):
                audiences = audiences_for(client, call.form.many("resource"))
        async with step(self._store, call.tenant.id) as store:
            started = await store.device_codes.start(
                client.client_id,
                scopes=allowed,
                audiences=audiences,
                lifetime=lifetime,
                address=call.visitor.address,
            )
        page = call.url  # a GET of this very address
        return JSONResponse(
            {
                "device_code": started.device_code,
                "user_code": started.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?{urlencode({'user_code': started.user_code})}",
                "expires_in": int(lifetime.total_seconds()),
                "interval": int(INTERVAL.total_seconds()),
            }
        )

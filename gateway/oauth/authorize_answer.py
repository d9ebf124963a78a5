"""The answer to an authorization request, on its way back to the client (RFC 6749 section 4.1.2, RFC 9207, OAuth 2.0
Multiple Response Types, OAuth 2.0 Form Post Response Mode).

Every answer names its issuer, refusals too. Owns how it is sent. That the address is registered was proved before one
of these is made (``authorization_request.client_and_redirect``).
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.errors import OAuthError
from gateway.form import Form
from gateway.oauth.authorization_request import LONGEST_STATE, ResponseMode, response_mode
from gateway.pages.page import Page
from gateway.pages.visit import Answer, Go, Show
from policies import return_address
from tenants.client import Client
from tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where and how the client gets its answer."""

    tenant: Tenant
    client: Client
    redirect_uri: str
    response_mode: ResponseMode
    state: str | None

    @classmethod
    def of(cls, form: Form, tenant: Tenant, client: Client, redirect_uri: str) -> "WayBack":
        """As the request says, whatever else is wrong with it. A state that is refused for its length is not sent."""
        state = form.optional("state")
        if state is not None and len(state) > LONGEST_STATE:
            state = None
        return cls(tenant, client, redirect_uri, response_mode(form), state)

    def code(self, code: str) -> Answer:
        """The request is granted."""
        return self._send({"code": code})

    def refusal(self, error: OAuthError) -> Answer:
        """It is not (RFC 6749 section 4.1.2.1)."""
        return self._send(error.body())

    def _send(self, answer: dict[str, str]) -> Answer:
        state = {} if self.state is None else {"state": self.state}
        parameters = {**answer, **state, "iss": self.tenant.issuer}
        match self.response_mode:
            case "query":
                return Go(f"{self.redirect_uri}{_joint(self.redirect_uri)}{urlencode(parameters)}")
            case "fragment":
                return Go(f"{self.redirect_uri}#{urlencode(parameters)}")
            case "form_post":
                return self._form(parameters)

    def _form(self, parameters: dict[str, str]) -> Show:
        context = {"app": self.client.name, "action": self.redirect_uri, "parameters": parameters}
        # Its form goes to the client, who learns by Origin from where (the usual policy would make that "null").
        page = Page("form_post.html", "Back", context, headers={"Referrer-Policy": "origin"}, scripted=True)
        return Show(self.tenant, page, form_origins=(return_address.origin(self.redirect_uri),))


def _joint(uri: str) -> str:
    """What stands before more parameters: a registered address may have some already, which stay (section 3.1.2)."""
    if "?" not in uri:
        return "?"
    return "" if uri.endswith(("?", "&")) else "&"

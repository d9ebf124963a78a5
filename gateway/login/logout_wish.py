"""What an application asks for that sends a person to ``/logout`` (OpenID Connect RP-Initiated Logout 1.0 section 2):
in whose name, and where to go afterwards. It travels through the question in hidden fields, so it is checked each time
that it is read.

``logout_hint`` and ``ui_locales`` change nothing: a browser has one session per tenant, and pages have one language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.authn.id_token_hint import IdTokenHints
from gateway.errors import InvalidRequest
from gateway.form import Form
from gateway.pages.visit import Visit
from policies import logout, return_address
from policies.decision import Allow, Deny
from policies.logout import Hint
from tenants.clients import Client
from tenants.store import TenantStore

FOR_DEVELOPERS: Mapping[str, str] = {
    "client_mismatch": "client_id is another client than the one that the id_token_hint was issued to.",
    "client_unknown": "A post_logout_redirect_uri comes with an id_token_hint that this server issued, or with the"
    " client_id of a client that it knows.",
    "post_logout_redirect_uri_unregistered": "The post_logout_redirect_uri is none that this client registered for it."
    " They are compared character by character.",
}
"""What a page says of a reason."""

_PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
_LONGEST = 7_000  # of 8 KiB that a request target may have


@dataclass(frozen=True, slots=True)
class LogoutWish:
    """``client`` is who asks, where that is known; ``return_to`` was registered by it. ``hint`` was verified;
    ``hint_refused`` says why one does not count.
    """

    client: Client | None = None
    return_to: str | None = None
    state: str | None = None
    hint: Hint | None = None
    hint_refused: str | None = None

    @classmethod
    async def read(cls, store: TenantStore, form: Form, visit: Visit, hints: IdTokenHints) -> "LogoutWish":
        """From a query or a form. A hint that is none of ours counts as absent: the person is asked, as without one.

        Raises:
            InvalidRequest: ``reason`` is one of ``FOR_DEVELOPERS``.
        """
        hint, refused = None, None
        if (unverified_hint := form.optional("id_token_hint")) is not None:
            match hints.read(unverified_hint, visit.tenant_id):
                case Deny(reason):
                    refused = reason
                case Hint() as known:
                    hint = known
        match logout.client_of(form.optional("client_id"), hint):
            case Deny(reason):
                raise InvalidRequest(reason=reason)
            case None:
                client = None
            case str() as client_id:
                found = await store.clients.get(client_id)
                client = found if found is not None and found.active else None
        return_to = form.optional("post_logout_redirect_uri")
        if return_to is not None:
            registered = None if client is None else client.options.post_logout_redirect_uris
            match logout.may_return(return_to, registered=registered):
                case Deny(reason):
                    raise InvalidRequest(reason=reason)
                case Allow():
                    pass
        return cls(client, return_to, form.optional("state"), hint, refused)

    def hidden(self) -> dict[str, str]:
        """As fields of the question. The hint is not among them: who is asked needs none."""
        fields = {
            "client_id": None if self.client is None else self.client.client_id,
            "post_logout_redirect_uri": self.return_to,
            "state": self.state,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def destination(self) -> str | None:
        """Where to go afterwards, with the state that came along (section 3)."""
        if self.return_to is None or self.state is None:
            return self.return_to
        return f"{self.return_to}{'&' if '?' in self.return_to else '?'}{urlencode({'state': self.state})}"

    def origins(self) -> tuple[str, ...]:
        """What ``form-action`` has to allow for the redirect at the end."""
        return () if self.return_to is None else (return_address.origin(self.return_to),)


def as_query(form: Form) -> str:
    """The same request for a GET. A hint that is too long for an address is left out, and the person is asked."""
    asked = {name: value for name in _PARAMETERS if (value := form.optional(name)) is not None}
    query = urlencode(asked)
    if len(query) > _LONGEST:
        asked.pop("id_token_hint", None)
        query = urlencode(asked)
    return query

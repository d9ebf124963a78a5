"""What a person is shown between an authorization request and its answer: the login, the consent page, a developer's
mistake.

Owns how a request is kept meanwhile, and what is said to whom. Not when (authorize.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.authn import begun_request
from gateway.authn.signed_in import SignedIn
from gateway.errors import OAuthError
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.authorize_answer import WayBack
from gateway.oauth.authorize_source import Source
from gateway.oauth.kept_request import kept
from gateway.pages import shown
from gateway.pages.connection import leads_to, stays_connected
from gateway.pages.page import Page
from gateway.pages.scope_words import in_words
from gateway.pages.visit import Go, Show, Visit
from policies import authorization, return_address
from policies.authorization import RequestFacts
from policies.decision import Challenge
from policies.scope import canonical
from tenants.client import Client
from tenants.store import TenantStore
from tenants.tenant import Tenant

CONSENT_PATH = f"{begun_request.PATH}/consent"
FOR_DEVELOPERS: Mapping[str, str] = {
    "client_missing": "The parameter client_id is missing.",
    "client_unknown": "This organisation has no client of this client_id.",
    "client_disabled": "The client is disabled.",
    "redirect_uri_missing": "The parameter redirect_uri is missing: every request names it.",
    "redirect_uri_unregistered": (
        "The redirect_uri is not registered for this client. It is compared as a string, letter by letter; only the "
        "port of http://127.0.0.1 and http://[::1] may differ."
    ),
    "request_over": "This request has waited too long for its person, or was answered already. Begin a new one.",
    "request_uri_unknown": "The request_uri is unknown, was used, or is over: it counts once, and not for long.",
    "request_uri_used": "The request_uri was used already.",
    "client_mismatch": "The request_uri was given out to another client than client_id names.",
}
"""By reason. What is not here is said by the error itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order, and how its client gets an answer. ``subject`` is the only user that will do, where
    one is named.
    """

    tenant: Tenant
    client: Client
    request: AuthorizationRequest
    source: Source
    back: WayBack
    subject: str | None

    @property
    def facts(self) -> RequestFacts:
        """What it wants of a login."""
        request, begun = self.request, self.source.begun
        return RequestFacts(
            prompt=request.prompt,
            max_age=request.max_age,
            acr_values=request.acr_values,
            acr_essential=request.acr_essential,
            subject=self.subject,
            begun_at=None if begun is None else begun.begun_at,
        )


async def keep(store: TenantStore, asked: Asked) -> str:
    """The secret under which it waits, from now on where it did not before."""
    if asked.source.secret is not None:
        return asked.source.secret
    return await store.begun_requests.begin(
        asked.client.client_id,
        asked.request.redirect_uri,
        kept(asked.source.form),
        lifetime=asked.tenant.lifetimes.authorization,
    )


async def to_login(store: TenantStore, visit: Visit, asked: Asked, challenge: Challenge) -> Go:
    """To the login, which leads back to the request."""
    wish = {"return_to": begun_request.address(await keep(store, asked), base=visit.base)}
    if challenge.reason == authorization.FRESH_LOGIN:
        wish["again"] = "yes"
    if challenge.acr_values:
        wish["acr_values"] = " ".join(challenge.acr_values)
    if challenge.max_age is not None:
        wish["max_age"] = str(challenge.max_age)
    if asked.request.login_hint is not None:
        wish["login_hint"] = asked.request.login_hint
    return Go(f"{visit.base}/login?{urlencode(wish)}")


async def consent_page(store: TenantStore, visit: Visit, asked: Asked, here: SignedIn, scopes: frozenset[str]) -> Show:
    """Who asks for what. The answer to its form goes on to the client."""
    secret, client = await keep(store, asked), asked.client
    return_to = begun_request.address(secret, base=visit.base)
    context = {
        "app": client.name,
        "client_uri": client.options.client_uri,
        "policy_uri": client.options.policy_uri,
        "tos_uri": client.options.tos_uri,
        "user_name": here.user.name,
        "asks": in_words(scopes),
        "facts": [
            ("At", ", ".join(asked.request.audiences)),
            ("Leads you to", leads_to(asked.request.redirect_uri)),
            ("Stays connected", stays_connected(asked.tenant, client)),
        ],
        "unvetted": client.registered_itself,
        "action": visit.base + CONSENT_PATH,
        "hidden": {
            begun_request.PARAMETER: secret,
            "shown": shown.mark(visit.session_secret or "", *_contents(secret, asked, scopes)),
        },
        "other_account": f"{visit.base}/login?{urlencode({'again': 'yes', 'return_to': return_to})}",
    }
    page = Page("consent.html", f"Allow {client.name}", context)
    origins = (return_address.origin(asked.request.redirect_uri),)
    return Show(asked.tenant, page, visit.session_secret or "", origins)


def was_shown(visit: Visit, asked: Asked, scopes: frozenset[str]) -> bool:
    """Whether the consent page that this form comes from asked for just what would be granted: more may have become of
    it since.
    """
    presented, secret = visit.form.text("shown"), asked.source.secret
    return secret is not None and shown.is_mark(presented, visit.session_secret, *_contents(secret, asked, scopes))


def _contents(secret: str, asked: Asked, scopes: frozenset[str]) -> tuple[str, ...]:
    return ("consent", secret, canonical(scopes), *asked.request.audiences)


def on_a_page(tenant: Tenant, visit: Visit, error: OAuthError) -> Show:
    """What is wrong with a request that nobody may be answered for."""
    context = {
        "code": error.code,
        "reason": error.reason,
        "text": FOR_DEVELOPERS.get(error.reason, error.public),
        "request_id": visit.request_id,
    }
    return Show(tenant, Page("authorize_error.html", "Error", context, 400))

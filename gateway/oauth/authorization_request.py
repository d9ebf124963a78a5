"""An authorization request, read and checked (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, RFC 7636,
RFC 8707, RFC 9449 section 10).

``CHECKS`` is the order in which a request is judged. Before it stand client and redirect URI (``client_and_redirect``):
until they are proved there is nobody to answer to, and nothing is redirected. Owns what a request may say. Not what it
is granted, nor whom the browser stands for (authorize.py).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, get_args

from gateway.errors import InvalidRequest, InvalidScope, UnauthorizedClient
from gateway.form import Form
from gateway.oauth.access_token import audiences_for
from gateway.oauth.claims import scopes_for
from gateway.oauth.errors import RegistrationNotSupported, UnsupportedResponseType
from gateway.oauth.kept_request import is_too_long
from policies import claims_request, pkce, redirect_uri
from policies import scope as scopes
from policies.claims_request import ClaimsRequest
from policies.decision import Deny
from tenants.client import Client
from tenants.issuers import Issuer
from tenants.tenant import Tenant

ResponseMode = Literal["query", "fragment", "form_post"]
RESPONSE_MODES: tuple[ResponseMode, ...] = get_args(ResponseMode)
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
LONGEST_STATE = 2000
_LONGEST = {
    "state": LONGEST_STATE,
    "nonce": 512,
    "prompt": 100,
    "login_hint": 254,
    "acr_values": 500,
    "id_token_hint": 8192,
}
_MAX_DIGITS = 9
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A well-formed request of a client that may make it.

    ``scopes`` are those asked for that the client has, or its default ones where it asks for none (``scopes_asked``
    says which); ``audiences`` the APIs; ``acr_values`` any of which will do, and has to where ``acr_essential``.
    """

    client_id: str
    redirect_uri: str
    response_mode: ResponseMode
    scopes: frozenset[str]
    scopes_asked: bool
    audiences: tuple[str, ...]
    state: str | None
    nonce: str | None = field(repr=False)
    code_challenge: str
    prompt: frozenset[str]
    max_age: timedelta | None
    acr_values: tuple[str, ...]
    acr_essential: bool
    login_hint: str | None = field(repr=False)
    claims: ClaimsRequest
    dpop_jkt: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check looks at."""

    form: Form
    tenant: Tenant
    client: Client


Check = Callable[[Facts], Mapping[str, Any]]


def client_and_redirect(form: Form, issuer: Issuer) -> tuple[Client, str]:
    """Who asks, and where the answer goes. What is wrong here is shown to a person, and never redirected.

    Raises:
        InvalidRequest: the client or its redirect URI is missing, unknown, or not one that it registered.
        UnauthorizedClient: the client is disabled.
    """
    client_id = form.optional("client_id")
    if client_id is None:
        raise InvalidRequest(reason="client_missing")
    registered = issuer.clients.get(client_id)
    if registered is None:
        raise InvalidRequest(reason="client_unknown")
    if not registered.client.active:
        raise UnauthorizedClient(reason="client_disabled")
    return registered.client, _redirect_uri(form, registered.client)


def response_mode(form: Form) -> ResponseMode:
    """How the answer is sent; one that is not understood is answered in the usual way, and refused by ``read``."""
    asked = form.optional("response_mode")
    return next((mode for mode in RESPONSE_MODES if mode == asked), "query")


def read(form: Form, *, tenant: Tenant, client: Client) -> AuthorizationRequest:
    """The request.

    Raises:
        OAuthError: what is wrong with it first, in the order of ``CHECKS``.
    """
    facts = Facts(form, tenant, client)
    values: dict[str, Any] = {"client_id": client.client_id, "redirect_uri": _redirect_uri(form, client)}
    for check in CHECKS:
        values.update(check(facts))
    return AuthorizationRequest(**values)


def _redirect_uri(form: Form, client: Client) -> str:
    """Each request names it, also where the client has one only: what is compared later is what was meant here."""
    asked = form.optional("redirect_uri")
    if asked is None:
        raise InvalidRequest(reason="redirect_uri_missing")
    if not redirect_uri.matches(asked, client.redirect_uris):
        raise InvalidRequest(reason="redirect_uri_unregistered")
    return asked


def _response_type(facts: Facts) -> Mapping[str, Any]:
    if facts.form.required("response_type") != "code":
        raise UnsupportedResponseType
    return {}


def _response_mode(facts: Facts) -> Mapping[str, Any]:
    asked = facts.form.optional("response_mode")
    if asked is not None and asked not in RESPONSE_MODES:
        raise InvalidRequest(reason="response_mode_unknown")
    return {"response_mode": response_mode(facts.form)}


def _grant(facts: Facts) -> Mapping[str, Any]:
    if "authorization_code" not in facts.client.grant_types:
        raise UnauthorizedClient(reason="grant_type_not_allowed")
    return {}


def _registration(facts: Facts) -> Mapping[str, Any]:
    if facts.form.optional("registration") is not None:
        raise RegistrationNotSupported
    return {}


def _texts(facts: Facts) -> Mapping[str, Any]:
    for name, longest in _LONGEST.items():
        if len(facts.form.optional(name) or "") > longest:
            raise InvalidRequest(reason="parameter_too_long", detail=name)
    if is_too_long(facts.form):
        raise InvalidRequest(reason="request_too_long")
    return {name: facts.form.optional(name) for name in ("state", "nonce", "login_hint")}


def _pkce(facts: Facts) -> Mapping[str, Any]:
    challenge = facts.form.optional("code_challenge")
    if challenge is None:
        raise InvalidRequest(reason="code_challenge_missing")
    if facts.form.optional("code_challenge_method") != pkce.METHOD:  # absent, it is "plain" (RFC 7636 section 4.3)
        raise InvalidRequest(reason="code_challenge_method_unsupported")
    if not pkce.is_challenge(challenge):
        raise InvalidRequest(reason="code_challenge_malformed")
    return {"code_challenge": challenge}


def _prompt(facts: Facts) -> Mapping[str, Any]:
    prompt = frozenset((facts.form.optional("prompt") or "").split())
    if not prompt <= PROMPTS:
        raise InvalidRequest(reason="prompt_unknown")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequest(reason="prompt_contradicts_itself")
    return {"prompt": prompt}


def _max_age(facts: Facts) -> Mapping[str, Any]:
    asked = facts.form.optional("max_age")
    if asked is None:
        return {"max_age": None}
    if len(asked) > _MAX_DIGITS or not (asked.isascii() and asked.isdecimal()):
        raise InvalidRequest(reason="max_age_malformed")
    return {"max_age": timedelta(seconds=int(asked))}


def _claims_and_acr(facts: Facts) -> Mapping[str, Any]:
    """What the ``claims`` parameter says of ``acr`` is more exact than ``acr_values``, which RFC 9470 wants met."""
    asked = facts.form.optional("claims")
    claims = ClaimsRequest() if asked is None else claims_request.parse(asked)
    if isinstance(claims, Deny):
        raise InvalidRequest(reason=claims.reason)
    acr_values = tuple((facts.form.optional("acr_values") or "").split())
    if claims.acr_values:
        return {"claims": claims, "acr_values": claims.acr_values, "acr_essential": claims.acr_essential}
    return {"claims": claims, "acr_values": acr_values, "acr_essential": True}


def _scopes(facts: Facts) -> Mapping[str, Any]:
    """A claim that is asked for by name asks for the scope that releases it."""
    asked = facts.form.optional("scope")
    wanted = facts.client.default_scopes if asked is None else scopes.parse(asked)
    if isinstance(wanted, Deny):
        raise InvalidScope(reason="scope_malformed")
    claims = _claims_and_acr(facts)["claims"]
    if "openid" in wanted:
        wanted |= scopes_for(facts.tenant, claims.names)
    allowed = wanted & facts.client.scopes
    if asked is not None and not allowed:
        raise InvalidScope(reason="scope_not_allowed")
    return {"scopes": allowed, "scopes_asked": asked is not None}


def _resources(facts: Facts) -> Mapping[str, Any]:
    return {"audiences": audiences_for(facts.client, facts.form.many("resource"))}


def _dpop_jkt(facts: Facts) -> Mapping[str, Any]:
    thumbprint = facts.form.optional("dpop_jkt")
    if thumbprint is not None and _THUMBPRINT.fullmatch(thumbprint) is None:
        raise InvalidRequest(reason="dpop_jkt_malformed")
    return {"dpop_jkt": thumbprint}


CHECKS: tuple[Check, ...] = (
    _response_mode,
    _response_type,
    _grant,
    _registration,
    _texts,
    _pkce,
    _prompt,
    _max_age,
    _claims_and_acr,
    _scopes,
    _resources,
    _dpop_jkt,
)
"""In this order, each with the fields that it fills in."""

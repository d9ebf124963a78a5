"""``/authorize`` (RFC 6749 section 4.1, OpenID Connect Core section 3.1): what is asked, who is there, what it earns.

    source -> client, redirect URI | pushed? -> CHECKS -> who -> scopes -> consent -> code
         what is wrong: on a page  |  an error for the client

Left of the bar nobody is answered but the person: an address that is not registered gets nothing, not even an error.
A login or a consent comes back here, to the first step. Owns that order. Not how a request is read
(authorization_request.py), what it needs (``policies.authorization``), nor how an answer is sent (authorize_answer.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fastapi import APIRouter

from gateway.authn import begun_request
from gateway.authn.id_token_hint import IdTokenHints
from gateway.authn.signed_in import SignedIn, signed_in, tenant_of
from gateway.errors import InvalidRequest, InvalidScope, OAuthError, TenantNotFound
from gateway.form import Form
from gateway.oauth.authorization_request import AuthorizationRequest, client_and_redirect, read
from gateway.oauth.authorize_answer import WayBack
from gateway.oauth.authorize_pages import CONSENT_PATH, Asked, consent_page, keep, on_a_page, to_login, was_shown
from gateway.oauth.authorize_source import Source, is_kept, read_source
from gateway.oauth.errors import AccessDenied, ConsentRequired, LoginRequired, UnmetAuthenticationRequirements
from gateway.oauth.request_object import RequestObjects
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from policies import authorization
from policies.authorization import ConsentFacts, Person
from policies.decision import Allow, Challenge, Deny
from policies.logout import Hint
from policies.scope import of_user
from tenants.audit_event import Event
from tenants.client import Client
from tenants.issuers import Issuer, Issuers
from tenants.store import TenantStore
from tenants.tenant import Tenant

_ERRORS: Mapping[str, type[OAuthError]] = {
    "login_required": LoginRequired,
    "consent_required": ConsentRequired,
    "unmet_authentication_requirements": UnmetAuthenticationRequirements,
}


@dataclass(frozen=True, slots=True)
class AuthorizePages:
    """The endpoint, and the form of its consent page."""

    site: Site
    issuers: Issuers
    objects: RequestObjects
    hints: IdTokenHints

    async def show(self, visit: Visit) -> Answer:
        """Answer a request that came as an address."""
        return await self._arrive(visit, visit.query, as_address=True)

    async def submit(self, visit: Visit) -> Answer:
        """Keep a request that came as a form, and take it up as an address: browsers send no cookie of ours with a form
        of another site, so nobody could be recognised here.
        """
        return await self._arrive(visit, visit.form, as_address=False)

    async def come_back(self, visit: Visit) -> Answer:
        """The consent page has no address of its own."""
        return Go(f"{visit.base}/account")

    async def decide(self, visit: Visit) -> Answer:
        """What the person said on the consent page."""
        issuer = await self._issuer(visit)
        async with self.site.step(visit) as store:
            tenant = replace(await tenant_of(store), issuer=visit.issuer)
            asked = await self._read(store, visit, tenant, issuer, visit.form)
            if not isinstance(asked, Asked):
                return asked
            if asked.source.begun is None:  # the question is about one that waits
                raise InvalidRequest(reason="parameter_missing", detail=begun_request.PARAMETER)
            match visit.form.text("decision"):
                case "allow":
                    return await self._go_on(store, visit, asked, answered=True)
                case "deny":
                    here = await signed_in(store, tenant, visit, self.site.now())
                    return await self._refuse(store, visit, asked, AccessDenied(reason="consent_refused"), here)
                case _:
                    raise InvalidRequest(reason="decision_missing")

    async def _arrive(self, visit: Visit, sent: Form, *, as_address: bool) -> Answer:
        issuer = await self._issuer(visit)
        unpacked = await self._unpacked(sent, issuer)
        async with self.site.step(visit) as store:
            tenant = replace(await tenant_of(store), issuer=visit.issuer)
            if isinstance(unpacked, OAuthError):
                self.site.tell(visit, unpacked)
                return on_a_page(tenant, visit, unpacked)
            asked = await self._read(store, visit, tenant, issuer, unpacked)
            if not isinstance(asked, Asked):
                return asked
            if not as_address:
                return Go(begun_request.address(await keep(store, asked), base=visit.base))
            return await self._go_on(store, visit, asked)

    async def _unpacked(self, sent: Form, issuer: Issuer) -> Form | OAuthError:
        """With what a request object says in its place. Its keys may have to be fetched, so no transaction is open."""
        registered = issuer.clients.get(sent.optional("client_id") or "")
        if registered is None or not registered.client.active or is_kept(sent):
            return sent
        try:
            return await self.objects.unpack(sent, client=registered.client, tenant=issuer.tenant)
        except OAuthError as error:
            return error

    async def _issuer(self, visit: Visit) -> Issuer:
        issuer = await self.issuers.get(visit.tenant_id, under=visit.issuer)
        if issuer is None:
            raise TenantNotFound(reason="tenant_deleted")
        return issuer

    async def _read(
        self, store: TenantStore, visit: Visit, tenant: Tenant, issuer: Issuer, sent: Form
    ) -> Asked | Answer:
        try:
            source = await read_source(store, sent)
            client, redirect_uri = client_and_redirect(source.form, issuer)
        except OAuthError as error:
            self.site.tell(visit, error)
            return on_a_page(tenant, visit, error)
        back = WayBack.of(source.form, tenant, client, redirect_uri)
        try:
            _require_pushed(source, tenant, client)
            request = read(source.form, tenant=tenant, client=client)
            return Asked(tenant, client, request, source, back, self._subject(source.form, request, tenant))
        except OAuthError as error:
            self.site.tell(visit, error)
            return back.refusal(error)

    def _subject(self, form: Form, request: AuthorizationRequest, tenant: Tenant) -> str | None:
        """The only user that will do: the ``sub`` that ``claims`` wants, or that of an ID token sent as a hint."""
        unverified_hint = form.optional("id_token_hint")
        if unverified_hint is None:
            return request.claims.subject
        match self.hints.read(unverified_hint, tenant.id):
            case Deny(reason) if "none" in request.prompt:
                raise LoginRequired(reason=reason)
            case Deny():  # it helps to find the person, and who comes without it is asked who they are
                return request.claims.subject
            case Hint(subject, client_id) if client_id == request.client_id:
                if request.claims.subject not in (None, subject):
                    raise InvalidRequest(reason="hint_contradicts_claims")
                return subject
            case Hint():
                raise InvalidRequest(reason="hint_of_another_client")

    async def _go_on(self, store: TenantStore, visit: Visit, asked: Asked, *, answered: bool = False) -> Answer:
        """``answered``: the person has just agreed to what the consent page showed."""
        now, request = self.site.now(), asked.request
        here = await signed_in(store, asked.tenant, visit, now)
        person = None if here is None else Person(str(here.user.id), here.facts)
        match authorization.who(asked.facts, person, now):
            case Deny(reason):
                return await self._refuse(store, visit, asked, _ERRORS[reason](), here)
            case Challenge() as challenge:
                return await to_login(store, visit, asked, challenge)
            case Allow():
                pass
        if here is None:
            raise AssertionError("a request was granted to nobody")
        scopes = request.scopes & of_user(await store.roles.scopes_of(here.user.id))
        if request.scopes_asked and not scopes:
            return await self._refuse(store, visit, asked, InvalidScope(reason="scope_not_allowed"), here)
        given = answered and was_shown(visit, asked, scopes)
        before = await store.consents.get(here.user.id, asked.client.client_id)
        facts = ConsentFacts(
            scopes=scopes,
            audiences=frozenset(request.audiences),
            first_party=asked.client.options.first_party,
            before={} if before is None else before.scopes_at,
            given=given,
        )
        match authorization.consent(asked.facts, facts):
            case Deny(reason):
                return await self._refuse(store, visit, asked, _ERRORS[reason](), here)
            case Challenge():
                return await consent_page(store, visit, asked, here, scopes)
            case Allow():
                return await self._grant(store, visit, asked, here, scopes, given=given)

    async def _grant(
        self,
        store: TenantStore,
        visit: Visit,
        asked: Asked,
        here: SignedIn,
        scopes: frozenset[str],
        *,
        given: bool,
    ) -> Answer:
        client_id, request, begun = asked.client.client_id, asked.request, asked.source.begun
        if begun is not None and not await store.begun_requests.consume(begun):  # two windows: one answer
            return on_a_page(asked.tenant, visit, InvalidRequest(reason="request_over"))

        def event(kind: str) -> Event:
            return visit.event(
                kind, "success", user=here.user, session=here.session, client_id=client_id, scopes=sorted(scopes)
            )

        if given:
            await store.consents.give(here.user.id, client_id, scopes=scopes, audiences=request.audiences)
            await store.audit.add(event("consent.granted"))
        await store.sessions.touch(here.session)
        code = await store.authorization_codes.issue(
            client_id,
            here.session.id,
            redirect_uri=request.redirect_uri,
            scopes=scopes,
            audiences=request.audiences,
            code_challenge=request.code_challenge,
            lifetime=asked.tenant.lifetimes.code,
            nonce=request.nonce,
            id_token_claims=request.claims.id_token,
            dpop_jkt=request.dpop_jkt,
        )
        await store.audit.add(event("authorization.granted"))
        return asked.back.code(code)

    async def _refuse(
        self, store: TenantStore, visit: Visit, asked: Asked, error: OAuthError, here: SignedIn | None
    ) -> Answer:
        """Strangers decide how often there is nobody; what is refused to a person is an event of its own."""
        if asked.source.begun is not None:
            await store.begun_requests.consume(asked.source.begun)
        if here is None:
            self.site.tell(visit, error)
        else:
            await store.audit.add(
                visit.event(
                    "authorization.refused",
                    "refused",
                    reason=error.reason,
                    user=here.user,
                    session=here.session,
                    client_id=asked.client.client_id,
                )
            )
        return asked.back.refusal(error)


def authorize_router(pages: AuthorizePages) -> APIRouter:
    """The routes below ``/t/{slug}``. Other sites post to the first one; it acts on nothing that a cookie says then. A
    GET of it may answer the client or use a ``request_uri`` up, so it has no HEAD.
    """
    router = APIRouter()
    pages.site.add(router, begun_request.PATH, pages.show, pages.submit, bound_to="nothing", methods=("GET", "POST"))
    pages.site.add(router, CONSENT_PATH, pages.come_back, pages.decide, bound_to="session")
    return router


def _require_pushed(source: Source, tenant: Tenant, client: Client) -> None:
    """RFC 9126 sections 5 and 6. One that has begun was pushed before it did."""
    required = tenant.provider.require_pushed or client.options.require_pushed_authorization_requests
    if required and not source.pushed and source.begun is None:
        raise InvalidRequest(reason="pushed_request_required")

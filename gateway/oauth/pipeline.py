"""The token endpoint's pipeline: the security phases in their order, for every grant alike.

    form -> grant -> client -> key -> load (-> COMMIT -> prove -> client again) -> issue -> event -> sign -> COMMIT
    form -> grant -> client -> key -> decide -> sign -> event, committed with those of others

Then comes the answer. ``key`` is the one that what is issued gets bound to (RFC 9449). The second row is that of grants
whose event is all that they write. What a stranger gets wrong before anybody is recognised is an observation,
aggregated; what a grant refuses is an event of its own, in the transaction that refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.errors import UnsupportedGrantType
from gateway.journal import Journal
from gateway.oauth.access_token import TokenResponse, sign
from gateway.oauth.client_auth import ClientAuth, Recognised
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import InvalidDpopProof
from gateway.oauth.grants.grant import Grant, GrantRequest, ImmediateGrant, Issued, Refused
from gateway.oauth.id_token import sign_id_token
from gateway.oauth.signing import needs_a_key
from gateway.tenancy import step
from tenants.audit_event import Details, Event
from tenants.store import Store, TenantStore


class TokenPipeline:
    """Runs a grant. A grant cannot skip a phase: it is asked for its part and never calls the next."""

    def __init__(
        self,
        store: Store,
        clients: ClientAuth,
        journal: Journal,
        proofs: DpopProofs,
        *,
        grants: Iterable[Grant[Any]],
        immediate: Iterable[ImmediateGrant],
    ) -> None:
        self._store = store
        self._clients = clients
        self._journal = journal
        self._proofs = proofs
        self._grants: Mapping[str, Grant[Any]] = {grant.grant_type: grant for grant in grants}
        self._immediate: Mapping[str, ImmediateGrant] = {grant.grant_type: grant for grant in immediate}

    async def run(self, call: Call) -> TokenResponse:
        """The answer to one call.

        Raises:
            OAuthError: whatever is wrong, in RFC 6749's words.
        """
        grant_type = call.form.required("grant_type")
        with needs_a_key():
            if (grant := self._grants.get(grant_type)) is not None:
                return await self._run(call, grant)
            if (immediate := self._immediate.get(grant_type)) is not None:
                return await self._run_immediate(call, immediate)
        raise UnsupportedGrantType

    async def _run(self, call: Call, grant: Grant[Any]) -> TokenResponse:
        grant.admit()
        found = await self._clients.recognise(call, grant_type=grant.carried_by)
        binding = await self._binding(call, found)
        request = _request(call, found, binding)
        async with step(self._store, call.tenant.id) as store:
            attempt = await grant.load(store, request)
            if not grant.slow:
                return await self._finish(store, call, request, grant, attempt)
        attempt = await grant.prove(attempt, lambda: step(self._store, call.tenant.id))
        request = _request(call, await self._clients.again(call, found, grant_type=grant.carried_by), binding)
        async with step(self._store, call.tenant.id) as store:
            return await self._finish(store, call, request, grant, attempt)

    async def _finish(
        self, store: TenantStore, call: Call, request: GrantRequest, grant: Grant[Any], attempt: Any
    ) -> TokenResponse:
        result = await grant.issue(store, request, attempt)
        answer = None if isinstance(result, Refused) else _signed(result, request)  # no key: nothing of this is kept
        await store.audit.add(_event(result, call, request, grant.grant_type))
        return _answered(result, answer)

    async def _run_immediate(self, call: Call, grant: ImmediateGrant) -> TokenResponse:
        found = await self._clients.recognise(call, grant_type=grant.grant_type)
        request = _request(call, found, await self._binding(call, found))
        result = grant.decide(request)
        answer = None if isinstance(result, Refused) else _signed(result, request)
        await self._journal.record(call.tenant.id, _event(result, call, request, grant.grant_type))
        return _answered(result, answer)

    async def _binding(self, call: Call, found: Recognised) -> str | None:
        binding = await self._proofs.prove(call)
        if binding is None and found.client.options.dpop_bound_access_tokens:  # RFC 9449 section 5.2
            raise InvalidDpopProof(reason="dpop_proof_missing")
        return binding


def _request(call: Call, found: Recognised, binding: str | None) -> GrantRequest:
    return GrantRequest(found.issuer, found.client, call.form, call.visitor, found.now, binding)


def _signed(issued: Issued, request: GrantRequest) -> TokenResponse:
    access = issued.access if request.binding is None else issued.access._replace(confirmation=request.binding)
    answer = sign(
        access,
        tenant=request.tenant,
        key=request.issuer.signing_key(),
        now=request.now,
        refresh_token=issued.refresh_token,
    )
    if issued.issued_token_type is not None:
        answer = answer._replace(issued_token_type=issued.issued_token_type)
    facts, session = issued.id_token, issued.access.session
    if facts is None or session is None:
        return answer
    id_token = sign_id_token(
        issuer=request.issuer,
        client=request.client,
        user_id=facts.user_id,
        session=session,
        now=request.now,
        nonce=facts.nonce,
        access_token=answer.access_token,
        claims=facts.claims,
    )
    return answer._replace(id_token=id_token)


def _answered(result: Issued | Refused, answer: TokenResponse | None) -> TokenResponse:
    """Once its event is written."""
    if isinstance(result, Refused):
        result.error.told = True
        raise result.error
    if answer is None:
        raise AssertionError("a token was issued and not signed")
    return answer


def _event(result: Issued | Refused, call: Call, request: GrantRequest, grant_type: str) -> Event:
    details: Details = {"grant_type": grant_type}
    request_id, address = call.context.request_id, call.visitor.address
    match result:
        case Refused(error, event):
            if result.account is not None:
                details["account"] = result.account
            return Event(
                type=event,
                outcome="refused",
                reason=error.reason,
                subject=result.subject,
                user_name=result.user_name,
                session_id=result.session_id,
                client_id=request.client.client_id,
                details=details,
                request_id=request_id,
                address=address,
            )
        case Issued(access, event):
            details |= {"scopes": sorted(access.scopes), **result.details}
            if request.binding is not None:
                details["dpop_jkt"] = request.binding
            return Event(
                type=event,
                outcome="success",
                subject=access.subject,
                user_name=result.user_name,
                session_id=None if access.session is None else str(access.session.id),
                client_id=request.client.client_id,
                details=details,
                request_id=request_id,
                address=address,
            )

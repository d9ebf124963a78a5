"""``grant_type=urn:ietf:params:oauth:grant-type:device_code`` (RFC 8628 sections 3.4 and 3.5).

A device gets a session of its own, so that it can be ended alone, with the ``acr``, ``amr`` and ``auth_time`` of the
one in which a person approved it: nobody has authenticated since. Every check that was made at the page is made again.
"""

from dataclasses import dataclass, replace

from gateway.authn.completion import session_facts, start_for_device
from gateway.authn.password_attempt import Step
from gateway.errors import InvalidGrant, InvalidTarget, OAuthError
from gateway.oauth.errors import AccessDenied, AuthorizationPending, ExpiredToken, SlowDown
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from gateway.oauth.grants.user_login import Asked, Wanted, issue_in, wanted
from policies import device_code, login
from policies.decision import Allow, Deny
from policies.device_code import Pending
from policies.scope import canonical
from tenants.client import DEVICE_CODE
from tenants.device_codes import DeviceCode
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.users import User


@dataclass(frozen=True, slots=True)
class DeviceCodeGrant:
    """Answers a device's polls, and redeems its code once a person has approved it."""

    grant_type: str = DEVICE_CODE
    carried_by: str = DEVICE_CODE
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> DeviceCode | None:
        """The stored code; None for one that nobody was given.

        Raises:
            InvalidRequest: no code was sent.
        """
        return await store.device_codes.find(request.form.required("device_code"))

    async def prove(self, attempt: DeviceCode | None, step: Step) -> DeviceCode | None:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: DeviceCode | None) -> Issued | Refused:
        """Say how far it is, or redeem it.

        Raises:
            OAuthError: there is nothing to redeem. Anybody can have a device begin, and ask as often as they like, so
                that is observed and counted, not an event each.
        """
        if attempt is None:
            raise InvalidGrant(reason="device_code_unknown")
        match device_code.decide(attempt.facts, client_id=request.client.client_id, now=request.now):
            case Allow():
                return await _redeem(store, request, attempt)
            case Pending():
                raise await _wait(store, attempt)
            case Deny("device_code_expired" as reason):
                raise ExpiredToken(reason=reason)
            case Deny("device_code_denied" as reason):
                raise AccessDenied(reason=reason)
            case Deny(reason):
                raise InvalidGrant(reason=reason)


async def _wait(store: TenantStore, code: DeviceCode) -> OAuthError:
    if not await store.device_codes.poll(code):
        return SlowDown()
    pending = AuthorizationPending()
    pending.told = True  # a device that asks at its pace does what it should: nothing to tell of
    return pending


async def _redeem(store: TenantStore, request: GrantRequest, code: DeviceCode) -> Issued | Refused:
    """The user before anything of theirs: who ends all of their sessions is waited for, or waits."""
    begun = None if code.session_id is None else await store.sessions.get(code.session_id)
    user = None if begun is None else await store.users.get(begun.user_id, hold=True)
    session = None if begun is None else await store.sessions.get(begun.id)
    if user is None or session is None:
        return _refused(InvalidGrant(reason="session_ended"), user)
    found = await _checked(store, request, code, user, session)
    if isinstance(found, OAuthError):
        return _refused(found, user)
    resources = request.form.many("resource")
    if not set(resources) <= set(found.audiences):  # RFC 8707 section 2.2: fewer, never others
        return _refused(InvalidTarget(reason="resource_not_granted"), user)
    if not await store.device_codes.redeem(code):  # a parallel request was faster
        return _refused(InvalidGrant(reason="device_code_used"), user)
    own = await start_for_device(
        store,
        request.tenant,
        session,
        client_id=request.client.client_id,
        visitor=request.visitor,
        now=request.now,
    )
    issued = await issue_in(store, request, user, found, own)
    return issued._replace(access=issued.access._replace(audiences=resources)) if resources else issued


async def _checked(
    store: TenantStore, request: GrantRequest, code: DeviceCode, user: User, session: Session
) -> Wanted | OAuthError:
    """What the person who approved may give today, or what has become of them."""
    if not user.active:
        return InvalidGrant(reason="user_disabled")
    if not session.lives(request.now, idle=request.tenant.lifetimes.session_idle):
        return InvalidGrant(reason="session_ended")
    match login.may_go_on(await session_facts(store, request.tenant, user, session), request.now):
        case Deny(reason):
            return InvalidGrant(reason=reason)
        case Allow():
            pass
    found = await wanted(store, request, user, Asked(canonical(code.scopes) or None, code.audiences))
    if isinstance(found, OAuthError):
        return found
    return replace(found, scopes=found.scopes & code.scopes)  # no default that the client was given since


def _refused(error: OAuthError, user: User | None) -> Refused:
    known = {} if user is None else {"subject": str(user.id), "user_name": user.name}
    return Refused(error, "login.refused", **known)

"""``grant_type=password`` (RFC 6749 section 4.3), the form of FastAPI's ``OAuth2PasswordBearer``, word for word."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from gateway.errors import BadCredentials, InvalidRequest, InvalidScope, InvalidTarget, Overloaded
from gateway.oauth.access_token import AccessGrant, audiences_for
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from policies import acr, login
from policies.decision import Allow, Deny
from policies.password import Unacceptable, normalise
from policies.scope import Granted, granted
from tenants.credentials import Password
from tenants.hashing import HashingPool, Mismatch, Verified
from tenants.hashing_queue import HashingUnavailable
from tenants.store import TenantStore
from tenants.users import User

_NOBODY = UUID(int=0)
"""Looked up in place of an unknown user, so that the number of queries does not tell who exists."""


@dataclass(frozen=True, slots=True)
class PasswordAttempt:
    """A name and a password; ``outcome`` once it was hashed. An unknown user has no ``stored`` hash."""

    user: User | None
    stored: Password | None
    unverified_password: str = field(repr=False)
    outcome: Verified | Mismatch | None = None


@dataclass(frozen=True, slots=True)
class PasswordGrant:
    """Logs a user in and starts a session. The helpers of ``hashing`` do the work that no transaction may wait for."""

    hashing: HashingPool
    grant_type: str = "password"
    slow: bool = True

    async def load(self, store: TenantStore, request: GrantRequest) -> PasswordAttempt:
        """The user of that name and their hash.

        Raises:
            InvalidRequest: user name or password is missing, or cannot be one. An empty one is an attempt like any.
        """
        name, password = request.form.text("username"), request.form.text("password")
        if name is None or password is None:
            raise InvalidRequest(reason="parameter_missing", detail="username or password")
        normal = normalise(password)
        if isinstance(normal, Unacceptable):
            raise InvalidRequest(reason=normal.reason)
        user = await store.users.by_name(name)
        stored = await store.credentials.password(_id(user))
        return PasswordAttempt(user, stored, normal.text)

    async def prove(self, attempt: PasswordAttempt) -> PasswordAttempt:
        """Hash and compare, at one price for every kind of user.

        Raises:
            Overloaded: more logins are waiting than can be served soon.
        """
        stored_hash = None if attempt.stored is None else attempt.stored.hash
        try:
            return replace(attempt, outcome=await self.hashing.verify(stored_hash, attempt.unverified_password))
        except HashingUnavailable as unavailable:
            raise Overloaded(reason="hashing_unavailable", retry_after=unavailable.retry_after) from unavailable

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: PasswordAttempt) -> Issued | Refused:
        """Re-read what the login stands on, decide, start the session."""
        user = await store.users.get(_id(attempt.user), hold=True)
        current = await store.credentials.password(_id(user), hold=True)
        facts = login.LoginFacts(
            user_known=user is not None,
            user_active=user is not None and user.active,
            tenant_active=request.tenant.active,
            password_matched=isinstance(attempt.outcome, Verified),
            verified_version=None if attempt.stored is None else attempt.stored.version,
            credential_version=None if current is None else current.version,
        )
        match login.complete(facts):
            case Deny(reason):
                return _refused(BadCredentials(reason=reason), user)
            case Allow():
                pass
        if user is None:
            raise AssertionError("a login without a user was allowed")
        scopes = granted(
            request.form.optional("scope"),
            client_scopes=request.client.scopes,
            default_scopes=request.client.default_scopes,
            user_scopes=await store.roles.scopes_of(user.id),
        )
        match scopes:
            case Deny(reason):
                return _refused(InvalidScope(reason=reason), user)
            case Granted():
                try:
                    audiences = audiences_for(request.client, request.form.many("resource"))
                except InvalidTarget as error:
                    return _refused(error, user)
                return await self._start(store, request, attempt, user, scopes.scopes, audiences)

    async def _start(
        self,
        store: TenantStore,
        request: GrantRequest,
        attempt: PasswordAttempt,
        user: User,
        scopes: frozenset[str],
        audiences: tuple[str, ...],
    ) -> Issued:
        if isinstance(attempt.outcome, Verified) and attempt.outcome.rehash is not None and attempt.stored is not None:
            await store.credentials.rehash(attempt.stored, attempt.outcome.rehash)
        lifetimes = request.tenant.lifetimes
        session = await store.sessions.start(
            user.id, acr=acr.PASSWORD, amr=["pwd"], expires_at=request.now + lifetimes.session
        )
        refresh_token = None
        if "refresh_token" in request.client.grant_types:
            refresh_token = await store.refresh_tokens.begin_family(
                session.id,
                request.client.client_id,
                scopes=scopes,
                audiences=audiences,
                idle=lifetimes.refresh_idle,
                absolute=lifetimes.refresh_absolute,
            )
        access = AccessGrant(str(user.id), request.client.client_id, scopes, audiences, session)
        return Issued(access, "login.succeeded", user_name=user.name, refresh_token=refresh_token)


def _id(user: User | None) -> UUID:
    return _NOBODY if user is None else user.id


def _refused(error: BadCredentials | InvalidScope | InvalidTarget, user: User | None) -> Refused:
    known = {} if user is None else {"subject": str(user.id), "user_name": user.name}
    return Refused(error, "login.refused", **known)

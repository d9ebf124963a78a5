"""One attempt with a password, in the three steps that every way in takes (design section 1): counted, hashed, decided.

    begin (COMMIT: the attempt is counted before it is tried) -> prove (no transaction) -> conclude (in the step that
    goes on with the login)

Owns what is counted where, and that known and unknown people cost the same. Not what follows a right password: that is
``completion`` and ``policies.login``.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from uuid import UUID

from gateway.errors import HashingBusy, TooManyLogins
from policies import login
from policies.decision import Allow, Deny
from policies.password import Unacceptable, normalise
from policies.throttle import Throttled
from tenants import throttles
from tenants.audit_event import Event
from tenants.credentials import Password
from tenants.devices import Device
from tenants.hashing import HashingPool, Mismatch, Verified
from tenants.hashing_queue import HashingUnavailable
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.throttles import Counter
from tenants.users import User
from tenants.visitor import Visitor

NOBODY = UUID(int=0)
"""Looked up in place of an unknown user, so that the number of queries does not tell who exists."""

Step = Callable[[], AbstractAsyncContextManager[TenantStore]]


@dataclass(frozen=True, slots=True)
class PasswordAttempt:
    """A name and a password. ``compared_with`` is the user's hash, or a stand-in at the price of this tenant's hashes.

    ``source`` is what is known of where the attempt comes from (``device:…``, ``network:…``), empty where nothing is:
    a known source has a budget of its own, so that nobody else can use the owner's up. ``unverified_password`` is as it
    was typed: other systems hashed it so. ``tag`` stands for the name in the log where it is nobody's.
    """

    user: User | None
    stored: Password | None
    compared_with: str = field(repr=False)
    unverified_password: str = field(repr=False)
    visitor: Visitor
    device: Device | None
    source: str
    counters: tuple[Counter, ...]
    tag: str
    outcome: Verified | Mismatch | None = None


@dataclass(frozen=True, slots=True)
class ProvedPassword:
    """The password is this user's, and the account may be used. ``must_change``: once they have another one."""

    user: User
    version: int
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """``reason`` goes to the audit log, and where the name is nobody's the tag that tells it from others, ``account``.
    Whoever tried sees one answer for all of them.
    """

    reason: str
    user: User | None
    account: str | None = None


class PasswordCheck:
    """The helpers of ``hashing`` do the work that no transaction may wait for."""

    def __init__(self, hashing: HashingPool) -> None:
        self._hashing = hashing

    def require_room(self) -> None:
        """Ask before ``begin``: what cannot be hashed soon is not counted either, and costs no transaction.

        Raises:
            HashingBusy: as many wait as may wait.
        """
        if not self._hashing.has_room:
            raise HashingBusy(reason="hashing_queue_full", retry_after=1)

    async def begin(
        self,
        store: TenantStore,
        tenant: Tenant,
        *,
        name: str,
        password: str,
        visitor: Visitor,
        device_secret: str | None = None,
        trust_network: bool = False,
        session_id: UUID | None = None,
    ) -> PasswordAttempt:
        """Count the attempt. ``trust_network`` for ways in that carry no cookie (rule 11); ``session_id`` for who is
        logged in and gives the password once more: nobody else's attempts hold that up.

        Raises:
            TooManyLogins: too many before it, for this account or from this network. This one was not counted.
            ValueError: the password may not be one (ask ``policies.password.normalise`` first).
        """
        normal = normalise(password)
        if isinstance(normal, Unacceptable):
            raise ValueError(normal.reason)
        user = await store.users.by_login(name)
        user_id = NOBODY if user is None else user.id
        stored = await store.credentials.password(user_id)
        stand_in, tag = await store.credentials.stand_in(name), await store.credentials.tag(name)
        device = await store.devices.find(user_id, device_secret)
        source = "" if device is None else f"device:{device.id}"
        if trust_network and await store.devices.knows_network(
            user_id, visitor.network, within=tenant.lifetimes.known_network
        ):
            source = source or f"network:{visitor.network}"
        if session_id is not None:
            source = source or f"session:{session_id}"
        # By what was typed: one count for a user's name and address would tell that they belong together.
        counters: tuple[Counter, ...] = (throttles.account(name), throttles.network(visitor.network))
        if user is not None and source:
            counters = (throttles.known(user.id, source),)
        match await store.throttles.reserve(*counters):
            case Throttled() as throttled:
                raise TooManyLogins(reason="login_throttled", retry_after=throttled.seconds)
            case Allow():
                pass
        compared_with = stand_in if stored is None else stored.hash
        return PasswordAttempt(user, stored, compared_with, password, visitor, device, source, counters, tag)

    async def prove(self, attempt: PasswordAttempt, step: Step) -> PasswordAttempt:
        """Hash and compare, at one price for every kind of user. ``step`` opens a transaction to give an attempt back
        that could not be tried.

        Raises:
            HashingBusy: more logins are waiting than can be served soon.
        """
        # Who will be refused whatever the password is gets no new hash: the time for it would tell that it was right.
        renew = attempt.user is not None and attempt.user.active
        try:
            outcome = await self._hashing.verify(attempt.compared_with, attempt.unverified_password, renew=renew)
        except HashingUnavailable as unavailable:
            async with step() as store:
                await store.throttles.refund(*attempt.counters)
            raise HashingBusy(reason="hashing_unavailable", retry_after=unavailable.retry_after) from unavailable
        return replace(attempt, outcome=outcome)

    async def conclude(
        self, store: TenantStore, tenant: Tenant, attempt: PasswordAttempt
    ) -> ProvedPassword | WrongPassword:
        """Decide on what is true in this transaction; a right password clears its own counter and no other."""
        user_id = NOBODY if attempt.user is None else attempt.user.id
        user = await store.users.get(user_id, hold=True)
        current = await store.credentials.password(user_id, hold=True)
        facts = login.PasswordFacts(
            user_known=user is not None,
            user_active=user is not None and user.active,
            tenant_active=tenant.active,
            password_matched=attempt.stored is not None and isinstance(attempt.outcome, Verified),
            verified_version=None if attempt.stored is None else attempt.stored.version,
            credential_version=None if current is None else current.version,
        )
        match login.check_password(facts):
            case Deny(reason):
                if await store.throttles.alarm():
                    await store.audit.add(Event(type="login.alarm", outcome="notice", reason="many_failures"))
                return WrongPassword(reason, user, attempt.tag if user is None else None)
            case Allow():
                pass
        if user is None or current is None or attempt.stored is None:
            raise AssertionError("a login without a user was allowed")
        if isinstance(attempt.outcome, Verified) and attempt.outcome.rehash is not None:
            await store.credentials.rehash(attempt.stored, attempt.outcome.rehash)
        own, *shared = attempt.counters
        await store.throttles.clear(own)
        await store.throttles.refund(*shared)  # a network is many people's: a success takes back its own attempt only
        return ProvedPassword(user, current.version, current.must_change)

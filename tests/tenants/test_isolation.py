"""Ten tenants with the same names stay strangers: every method of the store is tried with another tenant's ids.

``ATTEMPTS`` has a line for each public method of each repository of ``TenantStore``; a method without one fails.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Any, get_type_hints
from uuid import UUID, uuid4

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.api_keys import ApiKey
from tenants.archive_seal import ArchiveSeal
from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.audit_selection import EVERYTHING
from tenants.authorization_codes import AuthorizationCode
from tenants.authorization_requests import PushedRequest
from tenants.begun_requests import BegunRequest
from tenants.branding import Branding, Logo
from tenants.credentials import Password
from tenants.database import Database
from tenants.detection_policy import DetectionPolicy
from tenants.detections import Progress
from tenants.device_codes import DeviceCode, StartedDevice
from tenants.devices import Device
from tenants.directory import Directory
from tenants.errors import AlreadyExists, InvalidValue, NotFound, StoreError
from tenants.groups import Group
from tenants.idempotency_keys import IdempotencyKey
from tenants.import_lines import NewUser
from tenants.logins import PendingLogin
from tenants.logout_notices import LogoutNotice
from tenants.mail_links import MailLink
from tenants.mail_outbox import WaitingLetter
from tenants.people import PeoplePolicy
from tenants.people_tables import mail_outbox
from tenants.provider import ProviderPolicy
from tenants.provider_tables import logout_notices
from tenants.refresh_tokens import RefreshToken
from tenants.registration_tokens import RegistrationToken
from tenants.sealing import Unsealable
from tenants.sessions import Session
from tenants.store import Store, TenantStore
from tenants.tables import metadata
from tenants.throttles import account, network
from tenants.totp import Enrolment
from tenants.user_imports import Import
from tenants.visitor import Visitor
from tests.conftest import Clock
from tests.tenants.conftest import API, LogAndTrees, an_app, dump, of_tenant
from tests.tenants.provider_rows import add_rows

HOUR = timedelta(hours=1)
SOURCE = b"s" * 32
SEAL = ArchiveSeal(bytes(64), archive=UUID(int=7))
SOON = datetime(2040, 1, 1, tzinfo=UTC)
HOME = Visitor.of(ip_address("192.0.2.1"), "Firefox")
THEIR_GROUP = Group("only-theirs", "", frozenset({"only-theirs"}), SOON)
NEWCOMER = NewUser(1, "newcomer", "newcomer", None, None, False, True, (), None)


@dataclass(frozen=True)
class Inhabitants:
    """What one of the ten tenants holds, and what the others try to get with it."""

    tenant_id: UUID
    slug: str
    issuer: str
    user_id: UUID
    password: Password
    client_id: str
    secret: str
    kids: tuple[str, str]
    session: Session
    first_refresh_token: str
    refresh_token: str
    found: RefreshToken
    spent: RefreshToken
    session_secret: str
    confirmed: Enrolment
    waiting: Enrolment
    codes: tuple[str, str]
    recovery: tuple[str, ...]
    login_secret: str
    pending: PendingLogin
    device: Device
    device_secret: str
    link_secret: str
    link: MailLink
    letter: WaitingLetter
    notice: LogoutNotice
    imported: Import
    initial_token: str
    initial: RegistrationToken
    request_uri: str
    pushed: PushedRequest
    code: str
    found_code: AuthorizationCode
    begun_secret: str
    begun: BegunRequest
    started: StartedDevice
    asking: DeviceCode
    api_key: ApiKey
    api_key_text: str


async def roles_of_other(my: TenantStore, their: Inhabitants) -> list[str]:
    return list((await my.roles.of_users([their.user_id])).get(their.user_id, ()))


def key_of(slug: str) -> IdempotencyKey:
    return IdempotencyKey(b"p" * 32, f"key-of-{slug}", b"r" * 32)


async def settle(directory: Directory, store: Store, clock: Clock, number: int) -> Inhabitants:
    """One tenant with the same names as the others: user alice, client app, role reader."""
    slug, issuer = f"tenant-{number}", f"https://auth.example.com/t/tenant-{number}"
    tenant = await directory.create(slug=slug, name="Tenant", issuer=issuer, actor="test")
    async with store.for_tenant(tenant.id) as mine:
        alice = await mine.users.create("alice", email=f"alice@{slug}.example")
        await mine.credentials.set_password(alice.id, f"$argon2id$hash-of-{slug}")
        await mine.roles.create("reader", ["orders:read"])
        await mine.roles.assign(alice.id, "reader")
        await mine.groups.create("staff", description=f"Of {slug}", roles=["reader"])
        await mine.groups.add("staff", alice.id)
        await mine.clients.create(an_app())
        secret = await mine.clients.add_secret("app")
        await mine.settings.set_default_client("app")
        device, device_secret, _ = await mine.devices.remember(
            alice.id, None, visitor=HOME, lifetime=HOUR, trusted_for=HOUR
        )
        session, session_secret = await mine.sessions.start_in_browser(
            alice.id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + HOUR, device_id=uuid4()
        )
        shown = {"issuer_name": "Tenant", "account": "alice"}
        confirmed = await mine.factors.enrol(alice.id, name="Phone", **shown)
        phone = pyotp.TOTP(confirmed.secret)
        assert await mine.factors.confirm(alice.id, confirmed.factor_id, phone.at(clock(), counter_offset=-1))
        waiting = await mine.factors.enrol(alice.id, name="Tablet", **shown)
        codes = phone.at(clock()), pyotp.TOTP(waiting.secret).at(clock())
        recovery = await mine.recovery_codes.make(alice.id)
        login_secret = await mine.logins.begin("page", alice.id, amr=["pwd"], lifetime=HOUR, request={"of": slug})
        pending = await mine.logins.find("page", login_secret)
        await mine.devices.remember_network(alice.id, HOME.network)
        await mine.throttles.reserve(account("alice"), network(HOME.network))
        await mine.throttles.alarm()
        link_secret = await mine.mail_links.make(
            "reset", lifetime=HOUR, user_id=alice.id, email=f"alice@{slug}.example"
        )
        link = await mine.mail_links.find("reset", link_secret)
        await mine.mail_outbox.add("reset", {"identifier": f"alice@{slug}.example"})
        row = select(mail_outbox.c.id).where(mail_outbox.c.tenant_id == tenant.id)
        letter_id = (await mine.mail_outbox._connection.execute(row)).scalar_one()
        letter = await mine.mail_outbox.claim(letter_id, lease=timedelta())  # due still, so that others may claim it
        await add_rows(
            mine.mail_outbox._connection,
            tenant.id,
            user_id=alice.id,
            session_id=session.id,
            client_id="app",
            now=clock(),
        )
        row = select(logout_notices.c.id).where(logout_notices.c.tenant_id == tenant.id)
        notice_id = (await mine.mail_outbox._connection.execute(row)).scalar_one()
        notice = await mine.logout_notices.take(notice_id, lease=timedelta())  # due still, as the letter is
        initial_token = await mine.registration_tokens.issue(f"Of {slug}", uses=2, lifetime=HOUR)
        initial = await mine.registration_tokens.find(initial_token)
        imported = await mine.imports.begin(SOURCE, 9)
        await mine.logos.set(Logo.of("image/png", f"logo-of-{slug}".encode()))
        request_uri = await mine.authorization_requests.push("app", {"state": [f"state-of-{slug}"]}, HOUR)
        pushed = await mine.authorization_requests.find(request_uri)
        callback = f"https://{slug}.example/callback"
        begun_secret = await mine.begun_requests.begin("app", callback, {"nonce": [f"nonce-of-{slug}"]}, lifetime=HOUR)
        begun = await mine.begun_requests.find(begun_secret)
        code = await mine.authorization_codes.issue(
            "app",
            session.id,
            redirect_uri=callback,
            scopes=["orders:read"],
            audiences=[API],
            code_challenge=f"challenge-of-{slug}",
            lifetime=HOUR,
        )
        found_code = await mine.authorization_codes.find(code)
        started = await mine.device_codes.start("app", scopes=[], audiences=[API], lifetime=HOUR, address=HOME.address)
        asking = await mine.device_codes.find(started.device_code)
        await mine.seen_ids.first_time("assertion", f"jti-of-{slug}", clock() + HOUR)
        await mine.idempotency_keys.keep(key_of(slug), status=201, body=f"answer-of-{slug}".encode())
        key, key_text = await mine.api_keys.create(f"Of {slug}", scopes=["orders:read"], audiences=[API], lifetime=HOUR)
        first = await mine.refresh_tokens.begin_family(
            session.id, "app", scopes=["orders:read"], audiences=[API], idle=HOUR, absolute=HOUR
        )
        presented = await mine.refresh_tokens.find(first)
        assert presented is not None
        second = await mine.refresh_tokens.spend(presented, idle=HOUR)
        assert second is not None
        spent, found = await mine.refresh_tokens.find(first), await mine.refresh_tokens.find(second)
        await mine.revocations.revoke("token", f"jti-of-{slug}")
        await mine.audit.add(Event(type="login.succeeded", outcome="success", subject=str(alice.id)))
        await mine.detections.remember_country(alice.id, "IS")
        await mine.detections.advance(Progress(0, {}, 0, is_new=True), 0, {"v": 1})
        password, kids = await mine.credentials.password(alice.id), [key.kid for key in await mine.keys.list()]
    assert password is not None
    assert spent is not None
    assert found is not None
    assert pending is not None
    assert link is not None
    assert letter is not None
    assert notice is not None
    assert initial is not None
    assert pushed is not None
    assert begun is not None
    assert found_code is not None
    assert asking is not None
    return Inhabitants(
        tenant.id,
        slug,
        issuer,
        alice.id,
        password,
        "app",
        secret,
        (kids[0], kids[1]),
        session,
        first,
        second,
        found,
        spent,
        session_secret,
        confirmed,
        waiting,
        codes,
        recovery,
        login_secret,
        pending,
        device,
        device_secret,
        link_secret,
        link,
        letter,
        notice,
        imported,
        initial_token,
        initial,
        request_uri=request_uri,
        pushed=pushed,
        code=code,
        found_code=found_code,
        begun_secret=begun_secret,
        begun=begun,
        started=started,
        asking=asking,
        api_key=key,
        api_key_text=key_text,
    )


async def nothing(answer: Awaitable[Any]) -> Any:
    """The store has no such thing, and says so by an empty answer."""
    found = await answer
    assert found is None or found == 0 or not list(found), found
    return found


async def archived(my: TenantStore) -> list[tuple[str, dict[str, Any]]]:
    """Everything that would be exported."""
    return [line async for line in my.archive.lines(SEAL, keys=True)]


async def new_to_me(answer: Awaitable[Any]) -> Any:
    """What another tenant has seen is not seen here."""
    assert await answer is True


async def unaware(answer: Awaitable[Any]) -> Any:
    """The call does something of the tenant's own, or nothing; what matters is what it leaves alone."""
    return await answer


def refused(*errors: type[Exception]) -> Callable[[Awaitable[Any]], Awaitable[None]]:
    async def check(answer: Awaitable[Any]) -> None:
        with pytest.raises(errors):
            await answer

    return check


async def an_invitation_removed(my: TenantStore, email: str) -> int:
    await my.mail_links.make("invite", lifetime=HOUR, email=email)
    return await my.mail_links.remove_for({email})


Attempt = tuple[Callable[[TenantStore, Inhabitants], Awaitable[Any]], Callable[[Awaitable[Any]], Awaitable[Any]]]

# The composite foreign key refuses what only a bug would ask for: a session or a family across tenants.
_FOREIGN_KEY = refused(IntegrityError)

ATTEMPTS: Mapping[str, Attempt] = {
    "settings.create": (
        lambda my, their: my.settings.create(slug=their.slug, name="Mine now", issuer=their.issuer),
        refused(AlreadyExists),
    ),
    "settings.get": (lambda my, _: my.settings.get(), unaware),
    "settings.hold": (lambda my, _: my.settings.hold(), unaware),
    "settings.set_name": (lambda my, _: my.settings.set_name("Mine"), unaware),
    "settings.change_issuer": (
        lambda my, their: my.settings.change_issuer(their.issuer, "https://login.example.com"),
        refused(NotFound),
    ),
    "settings.set_active": (lambda my, _: my.settings.set_active(True), unaware),
    "settings.set_default_client": (lambda my, _: my.settings.set_default_client("only-theirs"), refused(NotFound)),
    "settings.set_lifetimes": (lambda my, _: my.settings.set_lifetimes({"access_token": 60}), unaware),
    "users.create": (lambda my, _: my.users.create("alice"), refused(AlreadyExists)),
    "users.get": (lambda my, their: my.users.get(their.user_id), nothing),
    "users.by_name": (lambda my, _: my.users.by_name("alice"), unaware),
    "users.list": (lambda my, _: my.users.list(), unaware),
    "users.delete": (lambda my, their: my.users.delete(their.user_id), refused(NotFound)),
    "activity.any_of": (lambda my, their: my.activity.any_of(their.user_id), nothing),
    "users.begin_erasure": (lambda my, their: my.users.begin_erasure(their.user_id), unaware),
    "users.set_active": (lambda my, their: my.users.set_active(their.user_id, False), refused(NotFound)),
    "credentials.password": (lambda my, their: my.credentials.password(their.user_id), nothing),
    "credentials.set_password": (
        lambda my, their: my.credentials.set_password(their.user_id, "$argon2id$mine"),
        refused(NotFound),
    ),
    "credentials.rehash": (lambda my, their: my.credentials.rehash(their.password, "$argon2id$mine"), unaware),
    "roles.create": (lambda my, _: my.roles.create("reader", ["admin"]), refused(AlreadyExists)),
    "roles.get": (lambda my, _: my.roles.get("only-theirs"), nothing),
    "roles.list": (lambda my, _: my.roles.list(), unaware),
    "roles.set_scopes": (lambda my, _: my.roles.set_scopes("only-theirs", ["orders:read"]), refused(NotFound)),
    "roles.delete": (lambda my, _: my.roles.delete("only-theirs"), refused(NotFound)),
    "roles.of_users": (lambda my, their: roles_of_other(my, their), nothing),
    "roles.held_by_another": (lambda my, _: my.roles.held_by_another("only-theirs"), nothing),
    "roles.held_by": (lambda my, their: my.roles.held_by(their.user_id), nothing),
    "roles.assign": (lambda my, their: my.roles.assign(their.user_id, "reader"), refused(NotFound)),
    "roles.withdraw": (lambda my, their: my.roles.withdraw(their.user_id, "reader"), unaware),
    "roles.of_user": (lambda my, their: my.roles.of_user(their.user_id), nothing),
    "roles.scopes_of": (lambda my, their: my.roles.scopes_of(their.user_id), nothing),
    "groups.create": (lambda my, _: my.groups.create("staff"), refused(AlreadyExists)),
    "groups.get": (lambda my, _: my.groups.get("only-theirs"), nothing),
    "groups.list": (lambda my, _: my.groups.list(), unaware),
    "groups.roles_of": (lambda my, _: my.groups.roles_of(["only-theirs"]), nothing),
    "groups.scopes_of": (lambda my, _: my.groups.scopes_of("only-theirs"), nothing),
    "groups.change": (lambda my, _: my.groups.change(THEIR_GROUP, description="Mine", roles=[]), refused(NotFound)),
    "groups.members": (lambda my, _: my.groups.members("only-theirs"), nothing),
    "groups.of_user": (lambda my, their: my.groups.of_user(their.user_id), nothing),
    "groups.of_users": (lambda my, their: my.groups.of_users([their.user_id]), nothing),
    "groups.add": (lambda my, their: my.groups.add("staff", their.user_id), refused(NotFound)),
    "groups.remove": (lambda my, their: my.groups.remove("staff", their.user_id), nothing),
    "groups.delete": (lambda my, _: my.groups.delete("only-theirs"), refused(NotFound)),
    "clients.create": (lambda my, _: my.clients.create(an_app()), refused(AlreadyExists)),
    "clients.get": (lambda my, _: my.clients.get("only-theirs"), nothing),
    "clients.held": (lambda my, _: my.clients.held("only-theirs"), nothing),
    "clients.list": (lambda my, _: my.clients.list(), unaware),
    "clients.set_active": (lambda my, _: my.clients.set_active("only-theirs", False), refused(NotFound)),
    "clients.add_secret": (lambda my, _: my.clients.add_secret("only-theirs"), refused(NotFound)),
    "clients.end_secrets": (lambda my, _: my.clients.end_secrets("only-theirs"), nothing),
    "clients.registered": (lambda my, _: my.clients.registered(), unaware),
    "keys.create_first": (lambda my, _: my.keys.create_first("ES256"), refused(IntegrityError)),  # has one
    "keys.create_next": (lambda my, _: my.keys.create_next("ES256"), unaware),
    "keys.list": (lambda my, _: my.keys.list(), unaware),
    "keys.signing": (lambda my, _: my.keys.signing(), unaware),
    "keys.rotate": (lambda my, _: my.keys.rotate("ES256", force=True), unaware),
    "keys.advance": (lambda my, _: my.keys.advance("ES256"), unaware),
    "keys.revoke": (lambda my, their: my.keys.revoke(their.kids[0], "ES256"), refused(NotFound)),
    "sessions.start": (
        lambda my, their: my.sessions.start(
            their.user_id, acr="urn:yett:acr:mfa", amr=["otp"], expires_at=their.session.expires_at
        ),
        _FOREIGN_KEY,
    ),
    "sessions.get": (lambda my, their: my.sessions.get(their.session.id), nothing),
    "sessions.of_user": (lambda my, their: my.sessions.of_user(their.user_id), nothing),
    "sessions.end_all": (lambda my, their: my.sessions.end_all(their.user_id), nothing),
    "sessions.end": (lambda my, their: my.sessions.end(their.session.id), nothing),
    "refresh_tokens.begin_family": (
        lambda my, their: my.refresh_tokens.begin_family(
            their.session.id, "app", scopes=["orders:read"], audiences=[API], idle=HOUR, absolute=HOUR
        ),
        _FOREIGN_KEY,
    ),
    "refresh_tokens.find": (lambda my, their: my.refresh_tokens.find(their.refresh_token), nothing),
    "refresh_tokens.spend": (lambda my, their: my.refresh_tokens.spend(their.found, idle=HOUR), nothing),
    "refresh_tokens.successor": (lambda my, their: successor(my, their.spent), refused(Unsealable)),
    "refresh_tokens.revoke_family": (lambda my, their: my.refresh_tokens.revoke_family(their.found.family_id), unaware),
    "revocations.revoke": (lambda my, their: my.revocations.revoke("session", str(their.session.id)), unaware),
    "revocations.forbid": (lambda my, their: my.revocations.forbid("subject", str(their.user_id)), unaware),
    "revocations.forbid_token": (
        lambda my, their: my.revocations.forbid_token(
            f"jti-of-{their.slug}", expires_at=datetime(2100, 1, 1, tzinfo=UTC)
        ),
        unaware,
    ),
    "revocations.forbid_all": (lambda my, their: my.revocations.forbid_all("subject", [str(their.user_id)]), unaware),
    "revocations.allow": (lambda my, their: my.revocations.allow("token", f"jti-of-{their.slug}"), unaware),
    "revocations.list": (lambda my, _: my.revocations.list(), unaware),
    "audit.add": (lambda my, _: my.audit.add(Event(type="test", outcome="notice")), unaware),
    "settings.set_branding": (lambda my, _: my.settings.set_branding(Branding().checked(accent="#123456")), unaware),
    "settings.set_people": (lambda my, _: my.settings.set_people(PeoplePolicy(sign_up=True)), unaware),
    "sessions.start_in_browser": (
        lambda my, their: my.sessions.start_in_browser(
            their.user_id, acr="urn:yett:acr:mfa", amr=["otp"], expires_at=their.session.expires_at
        ),
        _FOREIGN_KEY,
    ),
    "sessions.by_secret": (lambda my, their: my.sessions.by_secret(their.session_secret, idle=HOUR), nothing),
    "sessions.change_secret": (lambda my, their: my.sessions.change_secret(their.session), nothing),
    "sessions.touch": (lambda my, their: my.sessions.touch(dataclasses.replace(their.session, seen_at=None)), unaware),
    "sessions.renew": (
        lambda my, their: my.sessions.renew(their.session, acr="urn:yett:acr:mfa", amr=["pwd", "otp"]),
        nothing,
    ),
    "sessions.end_others": (lambda my, their: my.sessions.end_others(their.user_id, UUID(int=0)), nothing),
    "sessions.end_of_device": (lambda my, their: my.sessions.end_of_device(their.user_id, device_of(their)), nothing),
    "factors.enrol": (
        lambda my, their: my.factors.enrol(their.user_id, name="Mine now", issuer_name="Tenant", account="alice"),
        refused(NotFound),
    ),
    "factors.enrolment": (
        lambda my, their: my.factors.enrolment(
            their.user_id, their.waiting.factor_id, issuer_name="Tenant", account="alice"
        ),
        nothing,
    ),
    "factors.confirm": (
        lambda my, their: my.factors.confirm(their.user_id, their.waiting.factor_id, their.codes[1]),
        nothing,
    ),
    "factors.of_user": (lambda my, their: my.factors.of_user(their.user_id), nothing),
    "factors.has_any": (lambda my, their: my.factors.has_any(their.user_id), nothing),
    "factors.redeem": (lambda my, their: my.factors.redeem(their.user_id, their.codes[0]), nothing),
    "factors.rename": (
        lambda my, their: my.factors.rename(their.user_id, their.confirmed.factor_id, "Mine now"),
        nothing,
    ),
    "factors.remove": (lambda my, their: my.factors.remove(their.user_id, their.confirmed.factor_id), nothing),
    "factors.remove_all": (lambda my, their: my.factors.remove_all(their.user_id), nothing),
    "recovery_codes.make": (lambda my, their: my.recovery_codes.make(their.user_id), refused(NotFound)),
    "recovery_codes.redeem": (lambda my, their: my.recovery_codes.redeem(their.user_id, their.recovery[0]), nothing),
    "recovery_codes.left": (lambda my, their: my.recovery_codes.left(their.user_id), nothing),
    "recovery_codes.remove_all": (lambda my, their: my.recovery_codes.remove_all(their.user_id), unaware),
    "logins.begin": (
        lambda my, their: my.logins.begin("page", their.user_id, amr=["pwd"], lifetime=HOUR, request={}),
        _FOREIGN_KEY,
    ),
    "logins.find": (lambda my, their: my.logins.find("page", their.login_secret), nothing),
    "logins.count_failure": (lambda my, their: my.logins.count_failure(their.pending), nothing),
    "logins.consume": (lambda my, their: my.logins.consume(their.pending), nothing),
    "logins.end_all": (lambda my, their: my.logins.end_all(their.user_id), unaware),
    "devices.find": (lambda my, their: my.devices.find(their.user_id, their.device_secret), nothing),
    "devices.remember": (
        lambda my, their: my.devices.remember(
            their.user_id, their.device_secret, visitor=HOME, lifetime=HOUR, trusted_for=None
        ),
        _FOREIGN_KEY,
    ),
    "devices.of_user": (lambda my, their: my.devices.of_user(their.user_id), nothing),
    "devices.revoke": (lambda my, their: my.devices.revoke(their.user_id, their.device.id), nothing),
    "devices.revoke_all": (lambda my, their: my.devices.revoke_all(their.user_id), nothing),
    "devices.knows_network": (
        lambda my, their: my.devices.knows_network(their.user_id, HOME.network, within=HOUR),
        nothing,
    ),
    "devices.networks_of": (lambda my, their: my.devices.networks_of(their.user_id), nothing),
    "devices.remember_network": (
        lambda my, their: my.devices.remember_network(their.user_id, HOME.network),
        _FOREIGN_KEY,
    ),
    "throttles.reserve": (lambda my, _: my.throttles.reserve(account("alice"), network(HOME.network)), unaware),
    "throttles.refund": (lambda my, _: my.throttles.refund(account("alice"), network(HOME.network)), unaware),
    "throttles.clear": (lambda my, _: my.throttles.clear(account("alice")), unaware),
    "throttles.find": (lambda my, _: my.throttles.find(account("alice")), unaware),
    "throttles.slowed": (lambda my, _: my.throttles.slowed(after=None, limit=5), unaware),
    "throttles.alarm": (lambda my, _: my.throttles.alarm(), unaware),
    "mail_links.make": (
        lambda my, their: my.mail_links.make("reset", lifetime=HOUR, user_id=their.user_id),
        _FOREIGN_KEY,
    ),
    "mail_links.find": (lambda my, their: my.mail_links.find("reset", their.link_secret), nothing),
    "mail_links.consume": (lambda my, their: my.mail_links.consume(their.link), nothing),
    "mail_links.end": (lambda my, their: my.mail_links.end("reset", their.link_secret), unaware),
    "mail_links.end_all": (lambda my, their: my.mail_links.end_all(their.user_id, "reset"), unaware),
    "mail_links.end_for": (lambda my, their: my.mail_links.end_for(f"alice@{their.slug}.example", "reset"), nothing),
    "mail_links.end_named": (lambda my, _: my.mail_links.end_named("alice"), unaware),
    "mail_links.remove_for": (lambda my, their: an_invitation_removed(my, f"alice@{their.slug}.example"), unaware),
    "mail_outbox.remove_about": (
        lambda my, their: my.mail_outbox.remove_about({f"alice@{their.slug}.example"}),
        nothing,
    ),
    "mail_outbox.add": (lambda my, _: my.mail_outbox.add("reset", {"identifier": "alice"}), unaware),
    "mail_outbox.claim": (lambda my, their: my.mail_outbox.claim(their.letter.id, lease=HOUR), nothing),
    "mail_outbox.open": (lambda my, their: opened(my, their.letter), refused(Unsealable)),
    "mail_outbox.postpone": (
        lambda my, their: my.mail_outbox.postpone(their.letter, their.letter.created_at),
        unaware,
    ),
    "mail_outbox.remove": (lambda my, their: my.mail_outbox.remove(their.letter), nothing),
    "activity.of": (lambda my, their: my.activity.of(their.user_id, types=["login.succeeded"], limit=9), nothing),
    "credentials.stand_in": (lambda my, _: my.credentials.stand_in("alice"), unaware),
    "archive.size": (lambda my, _: my.archive.size(), unaware),
    "archive.lines": (lambda my, _: archived(my), unaware),
    "archive.write": (
        lambda my, their: my.archive.write([("user_roles", {"user_id": their.user_id, "role": "reader"})]),
        refused(InvalidValue),
    ),
    "credentials.tag": (lambda my, _: my.credentials.tag("alice"), unaware),
    "detections.progress": (lambda my, _: my.detections.progress(), unaware),
    "detections.read": (lambda my, _: my.detections.read(0, 9, ["login.succeeded"]), unaware),
    "detections.countries": (lambda my, their: my.detections.countries([their.user_id]), nothing),
    "detections.advance": (lambda my, _: my.detections.advance(Progress(0, {}, 0, is_new=False), 1, {}), unaware),
    "detections.remember_country": (lambda my, their: my.detections.remember_country(their.user_id, "DE"), unaware),
    "settings.set_detections": (lambda my, _: my.settings.set_detections(DetectionPolicy()), unaware),
    "imports.begin": (lambda my, _: my.imports.begin(SOURCE, 1), unaware),
    "imports.get": (lambda my, their: my.imports.get(their.imported.id), nothing),
    "imports.unfinished": (lambda my, _: my.imports.unfinished(b"t" * 32), nothing),
    "imports.taken": (lambda my, _: my.imports.taken([NEWCOMER]), unaware),
    "imports.write": (lambda my, their: my.imports.write(their.imported, [NEWCOMER]), refused(InvalidValue)),
    "imports.begin_undo": (lambda my, their: my.imports.begin_undo(their.imported.id), nothing),
    "imports.undo": (lambda my, their: my.imports.undo(their.imported.id), unaware),
    "logos.get": (lambda my, _: my.logos.get(), unaware),
    "logos.set": (lambda my, _: my.logos.set(Logo.of("image/png", b"mine")), unaware),
    "logos.remove": (lambda my, _: my.logos.remove(), unaware),
    "users.by_email": (lambda my, their: my.users.by_email(f"alice@{their.slug}.example"), nothing),
    "users.by_login": (lambda my, their: my.users.by_login(f"alice@{their.slug}.example"), nothing),
    "users.set_email": (
        lambda my, their: my.users.set_email(their.user_id, "new@example.com", verified=True),
        refused(NotFound),
    ),
    "users.confirm_email": (
        lambda my, their: my.users.confirm_email(their.user_id, f"alice@{their.slug}.example"),
        nothing,
    ),
    "clients.redirect_uris": (lambda my, _: my.clients.redirect_uris(), unaware),
    "device_codes.start": (
        lambda my, _: my.device_codes.start("only-theirs", scopes=(), audiences=[API], lifetime=HOUR, address=""),
        _FOREIGN_KEY,
    ),
    "device_codes.find": (lambda my, their: my.device_codes.find(their.started.device_code), nothing),
    "device_codes.waiting": (lambda my, their: my.device_codes.waiting(their.started.user_code), nothing),
    "device_codes.approve": (
        lambda my, their: my.device_codes.approve(their.asking, their.session.id, scopes=[]),
        nothing,
    ),
    "device_codes.deny": (lambda my, their: my.device_codes.deny(their.asking), nothing),
    "device_codes.poll": (lambda my, their: my.device_codes.poll(their.asking), nothing),
    "device_codes.redeem": (lambda my, their: my.device_codes.redeem(their.asking), nothing),
    "clients.has_secret": (lambda my, their: my.clients.has_secret("app", their.secret), nothing),
    "clients.secrets_for": (
        lambda my, _: my.clients.secrets_for(an_app("only-theirs"), before=an_app("only-theirs")),
        unaware,
    ),
    "clients.registered_themselves": (lambda my, _: my.clients.registered_themselves(), nothing),
    "clients.replace_registered": (
        lambda my, _: my.clients.replace_registered(an_app("only-theirs"), digest=b"d" * 32),
        nothing,
    ),
    "registration_tokens.issue": (lambda my, _: my.registration_tokens.issue("A", uses=1, lifetime=HOUR), unaware),
    "registration_tokens.find": (lambda my, their: my.registration_tokens.find(their.initial_token), nothing),
    "registration_tokens.list": (lambda my, _: my.registration_tokens.list(), unaware),
    "registration_tokens.spend": (lambda my, their: my.registration_tokens.spend(their.initial), nothing),
    "registration_tokens.delete": (lambda my, their: my.registration_tokens.delete(f"Of {their.slug}"), nothing),
    "authorization_requests.push": (
        lambda my, _: my.authorization_requests.push("only-theirs", {}, HOUR),
        _FOREIGN_KEY,
    ),
    "authorization_requests.find": (lambda my, their: my.authorization_requests.find(their.request_uri), nothing),
    "authorization_requests.consume": (lambda my, their: my.authorization_requests.consume(their.pushed), nothing),
    "seen_ids.first_time": (
        lambda my, their: my.seen_ids.first_time("assertion", f"jti-of-{their.slug}", their.session.expires_at),
        new_to_me,
    ),
    "logout_notices.used_by": (lambda my, their: my.logout_notices.used_by(their.session.id, "app"), _FOREIGN_KEY),
    "logout_notices.add_for": (lambda my, their: my.logout_notices.add_for([their.session.id]), unaware),
    "logout_notices.take": (lambda my, their: my.logout_notices.take(their.notice.id, lease=HOUR), nothing),
    "logout_notices.retry": (
        lambda my, their: my.logout_notices.retry(their.notice, their.notice.created_at + HOUR),
        unaware,
    ),
    "logout_notices.done": (lambda my, their: my.logout_notices.done(their.notice), nothing),
    "former_issuers.list": (lambda my, _: my.former_issuers.list(), unaware),
    "former_issuers.keep": (
        lambda my, their: my.former_issuers.keep(their.issuer, their.session.expires_at),
        unaware,
    ),
    "former_issuers.end": (lambda my, their: my.former_issuers.end(their.session.expires_at), unaware),
    "api_keys.create": (
        lambda my, _: my.api_keys.create("Mine", scopes=["orders:read"], audiences=[API], lifetime=None),
        unaware,
    ),
    "api_keys.get": (lambda my, their: my.api_keys.get(their.api_key.id), nothing),
    "api_keys.list": (lambda my, _: my.api_keys.list(), unaware),
    "api_keys.revoke": (lambda my, their: my.api_keys.revoke(their.api_key.id), refused(NotFound)),
    "audit_reading.before": (
        lambda my, _: my.audit_reading.before(None, selection=EVERYTHING, limit=9),
        unaware,
    ),
    "idempotency_keys.enter": (lambda my, their: my.idempotency_keys.enter(key_of(their.slug)), new_to_me),
    "idempotency_keys.find": (lambda my, their: my.idempotency_keys.find(key_of(their.slug)), nothing),
    "idempotency_keys.keep": (
        lambda my, _: my.idempotency_keys.keep(key_of("mine"), status=201, body=b"answer-of-mine"),
        unaware,
    ),
    "begun_requests.begin": (
        lambda my, _: my.begun_requests.begin("only-theirs", "https://app.example/", {}, lifetime=HOUR),
        _FOREIGN_KEY,
    ),
    "begun_requests.find": (lambda my, their: my.begun_requests.find(their.begun_secret), nothing),
    "begun_requests.consume": (lambda my, their: my.begun_requests.consume(their.begun), nothing),
    "authorization_codes.issue": (
        lambda my, their: my.authorization_codes.issue(
            "app",
            their.session.id,
            redirect_uri="https://app.example/",
            scopes=[],
            audiences=[API],
            code_challenge="",
            lifetime=HOUR,
        ),
        _FOREIGN_KEY,
    ),
    "authorization_codes.find": (lambda my, their: my.authorization_codes.find(their.code), nothing),
    "authorization_codes.redeem": (
        lambda my, their: my.authorization_codes.redeem(their.found_code, family_id=None, token_id="mine"),
        nothing,
    ),
    "authorization_codes.take_back": (
        lambda my, their: my.authorization_codes.take_back(their.found_code),
        nothing,
    ),
    "consents.get": (lambda my, their: my.consents.get(their.user_id, "app"), nothing),
    "consents.of_user": (lambda my, their: my.consents.of_user(their.user_id), nothing),
    "consents.give": (
        lambda my, their: my.consents.give(their.user_id, "app", scopes=["admin"], audiences=[API]),
        _FOREIGN_KEY,
    ),
    "consents.withdraw": (lambda my, their: my.consents.withdraw(their.user_id, "app"), nothing),
    "refresh_tokens.revoke_of_client": (
        lambda my, their: my.refresh_tokens.revoke_of_client(their.user_id, "app"),
        nothing,
    ),
    "clients.replace": (lambda my, _: my.clients.replace(an_app("only-theirs")), refused(NotFound)),
    "clients.delete": (lambda my, _: my.clients.delete("only-theirs"), refused(NotFound)),
    "settings.set_provider": (
        lambda my, _: my.settings.set_provider(ProviderPolicy().changed(require_pushed=True)),
        unaware,
    ),
}


async def opened(my: TenantStore, letter: WaitingLetter) -> Mapping[str, str]:
    return my.mail_outbox.open(letter)


def device_of(their: Inhabitants) -> UUID:
    assert their.session.device_id is not None
    return their.session.device_id


async def successor(my: TenantStore, token: RefreshToken) -> str:
    return my.refresh_tokens.successor(token)


def methods_of_the_store() -> set[str]:
    parts = {name: part for name, part in vars(TenantStore).items() if isinstance(part, cached_property)}
    repositories = {name: get_type_hints(part.func)["return"] for name, part in parts.items()}
    return {
        f"{name}.{method}"
        for name, repository in repositories.items()
        for method, value in vars(repository).items()
        if callable(value) and not method.startswith("_")
    }


def flat(value: Any) -> set[str]:
    """Everything that an answer tells, its secret fields too, piece by piece."""
    match value:
        case None | bool():
            return set()
        case Mapping():
            return {text for pair in value.items() for item in pair for text in flat(item)}
        case list() | tuple() | set() | frozenset():
            return {text for item in value for text in flat(item)}
        case _ if dataclasses.is_dataclass(value):
            return {text for entry in dataclasses.fields(value) for text in flat(getattr(value, entry.name))}
        case _ if hasattr(value, "public_jwk"):
            return flat(value.public_jwk())
        case _:
            return {str(value)}


def owned(rows: dict[str, list[tuple[Any, ...]]]) -> set[str]:
    return {text for listed in rows.values() for row in listed for text in flat(row)}


def test_no_method_of_the_store_is_forgotten_here() -> None:
    assert methods_of_the_store() == set(ATTEMPTS)


async def test_ten_tenants_with_the_same_names_stay_strangers(
    directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock, log_and_trees: LogAndTrees
) -> None:
    homes = [await settle(directory, store, clock, number) for number in range(10)]
    me, other = homes[0], homes[7]
    async with store.for_tenant(other.tenant_id) as theirs:
        await theirs.clients.create(an_app("only-theirs"))
        await theirs.roles.create("only-theirs", ["admin"])
        await theirs.groups.create("only-theirs", roles=["only-theirs"])
        await theirs.groups.add("only-theirs", other.user_id)
    await log_and_trees()
    async with store.for_tenant(other.tenant_id) as theirs:  # something stays in the outbox as well
        await theirs.audit.add(Event(type="login.succeeded", outcome="success", subject=str(other.user_id)))
    before = await dump(superuser)
    secrets = owned(of_tenant(before, other.tenant_id)) | {other.secret, other.refresh_token, other.api_key_text}
    assert all(of_tenant(before, other.tenant_id).values()), "every table has a row to protect"

    async def attempt(call: Callable[[TenantStore, Inhabitants], Awaitable[Any]]) -> Any:
        """In a transaction that commits what was written before a refusal, as the gateway's steps do."""
        refusal: StoreError | None = None
        async with store.for_tenant(me.tenant_id) as my:
            try:
                return await call(my, other)
            except StoreError as expected:
                refusal = expected
        raise refusal

    after = before
    for name, (call, check) in ATTEMPTS.items():
        mine = owned(of_tenant(after, me.tenant_id))
        answer = await check(attempt(call))
        assert not (flat(answer) & secrets) - mine, name
        after = await dump(superuser)
        for home in homes[1:]:
            assert of_tenant(after, home.tenant_id) == of_tenant(before, home.tenant_id), name


async def test_the_same_call_in_each_tenant_finds_its_own(
    directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock
) -> None:
    homes = [await settle(directory, store, clock, number) for number in range(3)]
    for home in homes:
        async with store.for_tenant(home.tenant_id, read_only=True) as mine:
            alice = await mine.users.by_name("alice")
            assert alice is not None
            assert alice.id == home.user_id
            assert await mine.credentials.password(alice.id) == home.password
            assert await mine.roles.scopes_of(alice.id) == {"orders:read"}
            app = (await mine.clients.registered())["app"]
            assert [app.has_secret(entry.secret, clock()) for entry in homes] == [entry is home for entry in homes]
            assert (await mine.keys.signing()).kid in home.kids
            assert [entry.id for entry in await mine.sessions.of_user(alice.id)] == [home.session.id]
            assert [entry.value for entry in await mine.revocations.list()] == [f"jti-of-{home.slug}"]


async def test_a_sealed_key_moved_into_another_tenant_does_not_open(
    directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock
) -> None:
    me, other = [await settle(directory, store, clock, number) for number in range(2)]
    keys = metadata.tables["signing_keys"]
    async with superuser.begin() as connection:
        theirs = (
            await connection.execute(keys.select().where(keys.c.tenant_id == other.tenant_id, keys.c.state == "active"))
        ).one()
        mine = (keys.c.tenant_id == me.tenant_id, keys.c.state == "active")
        await connection.execute(
            keys.update().where(*mine).values(kid=theirs.kid, sealed_private=theirs.sealed_private)
        )
    async with store.for_tenant(me.tenant_id, read_only=True) as my:
        with pytest.raises(Unsealable):
            await my.keys.signing()


async def test_what_a_tenant_does_to_its_own_leaves_those_of_the_same_names_alone(
    database: Database, directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock
) -> None:
    homes = [await settle(directory, store, clock, number) for number in range(3)]
    me, *others = homes
    await AuditLog(database).sequence()
    before = await dump(superuser)
    clock.advance(days=2)
    async with store.for_tenant(me.tenant_id) as my:
        await my.credentials.set_password(me.user_id, "$argon2id$another")
        await my.refresh_tokens.spend(me.found, idle=HOUR)
        await my.roles.withdraw(me.user_id, "reader")
        await my.groups.remove("staff", me.user_id)
        await my.groups.delete("staff")
        await my.keys.rotate("ES256")
        await my.keys.advance("ES256")
        await my.keys.revoke(me.kids[1], "ES256")
        await my.factors.remove_all(me.user_id)
        await my.recovery_codes.make(me.user_id)
        await my.recovery_codes.remove_all(me.user_id)
        await my.logins.end_all(me.user_id)
        await my.sessions.renew(me.session, acr="urn:yett:acr:mfa", amr=["pwd", "otp"])
        await my.sessions.end_others(me.user_id, UUID(int=0))
        await my.settings.set_people(PeoplePolicy(sign_up=True))
        await my.sessions.end(me.session.id)
        await my.users.set_active(me.user_id, False)
        await my.clients.set_active("app", False)
        await my.clients.set_active("app", True)
        await my.settings.set_lifetimes({"access_token": 60})
        await my.settings.set_active(False)
    after = await dump(superuser)
    for home in others:
        assert of_tenant(after, home.tenant_id) == of_tenant(before, home.tenant_id)

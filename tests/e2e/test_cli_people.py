"""What an operator does for people from the command line: invitations, and help for who cannot get in."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pyotp
import pytest

from gateway.installation import open_installation
from gateway.settings import load
from policies.decision import Allow
from policies.throttle import KNOWN, Throttled
from tenants import throttles
from tenants.store import TenantStore
from tenants.users import User
from tenants.visitor import Visitor
from tests.e2e.administering import last_event, refused
from tests.e2e.command import yett
from tests.e2e.conftest import Copy
from tests.e2e.demo import Demo
from tests.e2e.installation import Installation

_ACME = ("--tenant", "acme")
_HOME = Visitor("192.0.2.1", "192.0.2.1/32", "Firefox")
_MONTH = timedelta(days=30)
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves and that has no mail."""
    return copy_of("sqlite")


@pytest.fixture
def with_mail(here: Installation, tmp_path: Path) -> Installation:
    """The same one, with a folder that letters would go to."""
    return replace(here, settings={**here.settings, "YETT_MAIL__DIRECTORY": str(tmp_path)})


def in_acme(here: Installation, do: Callable[[TenantStore], Awaitable[Found]]) -> Found:
    """One transaction behind the command line's back."""

    async def step() -> Found:
        async with open_installation(load(here.config, here.settings)) as installation:
            tenant = await installation.directory.find("acme")
            assert tenant is not None
            async with installation.store.for_tenant(tenant.id) as store:
                return await do(store)

    return asyncio.run(step())


# -- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_is_a_letter(here: Installation, with_mail: Installation) -> None:
    said = with_mail.does("user", "invite", *_ACME, "erin@example.com", "--name", "erin", "--role", "reader")
    assert said == {"name": "erin", "email": "erin@example.com", "roles": ["reader"], "groups": [], "link": None}
    assert here.rows("SELECT kind FROM mail_outbox") == [("invite",)]
    event = last_event(here)
    assert (event["type"], event["user_name"]) == ("user.invited", "erin")
    assert event["details"] == {"way": "letter", "roles": ["reader"]}
    refused(here, "user", "invite", *_ACME, "frank@example.com", says="no mail is configured")


def test_an_invitation_can_be_handed_over_as_a_link(here: Installation) -> None:
    said = here.does("user", "invite", *_ACME, "--name", "gina", "--role", "reader", "--print-link")
    assert re.fullmatch(r"https://auth\.example\.com/t/acme/invite\?token=yic_[A-Za-z0-9_-]{43}", said["link"])
    assert last_event(here)["details"] == {"way": "link", "roles": ["reader"]}
    secret = said["link"].partition("=")[2]
    link = in_acme(here, lambda store: store.mail_links.find("invite", secret))
    assert link is not None
    assert (link.email, link.data) == (None, {"name": "gina", "roles": "reader", "groups": "", "printed": True})
    assert link.expires_at - link.created_at == timedelta(days=7)
    assert secret not in here.run("audit", "export", *_ACME, "--out", "-").out
    people = here.run("user", "invite", *_ACME, "hana@example.com", "--print-link").out
    assert re.match(r"hana@example\.com is invited to acme by this link, which works once, until 20\S+:\nhttps", people)


def test_a_new_invitation_takes_the_place_of_the_old_and_can_be_withdrawn(here: Installation) -> None:
    def invite(email: str) -> str:
        said = here.does("user", "invite", *_ACME, email, "--print-link")
        secret: str = said["link"].partition("=")[2]
        return secret

    def works(secret: str) -> bool:
        return in_acme(here, lambda store: store.mail_links.find("invite", secret)) is not None

    first, second, other = invite("ina@example.com"), invite("ina@example.com"), invite("jo@example.com")
    assert [works(secret) for secret in (first, second, other)] == [False, True, True]

    said = here.does("user", "uninvite", *_ACME, "ina@example.com")
    assert said == {"email": "ina@example.com", "name": None, "links_ended": 1}
    assert [works(secret) for secret in (first, second, other)] == [False, False, True]
    event = last_event(here)
    assert (event["type"], event["user_name"], event["details"]) == (
        "user.uninvited",
        "ina@example.com",
        {"links_ended": 1},
    )
    assert here.does("user", "uninvite", *_ACME, "ina@example.com")["links_ended"] == 0
    assert here.run("user", "uninvite", *_ACME, "ina@example.com").out.startswith("nobody is invited to acme at ina@")


def test_nobody_is_invited_who_could_not_join(here: Installation) -> None:
    def invite(*arguments: str, says: str) -> None:
        refused(here, "user", "invite", *_ACME, *arguments, "--print-link", says=says)

    here.does("user", "set-email", *_ACME, "bob", "bob@example.com")
    invite("new@example.com", "--name", "BOB", says="user 'BOB' exists already")
    invite("Bob@Example.com", says="user 'Bob@Example.com' exists already")
    invite("new@example.com", "--role", "nothing", says="there is no role 'nothing' in acme")
    invite("not an address", says="an email address is ASCII")
    invite("--name", "two words", says="a user name has no spaces")
    invite("new@example.com", "--name", "other@example.com", says="has no other address")
    here.does("tenant", "disable", "acme")
    invite("new@example.com", says="acme is suspended")
    here.does("tenant", "enable", "acme")
    assert here.run("user", "invite", *_ACME).code == 2
    assert here.run("user", "invite", *_ACME, "--print-link").code == 2


# -- help at the door ------------------------------------------------------------------------------------------------


async def _user(store: TenantStore, name: str) -> User:
    found = await store.users.by_name(name)
    assert found is not None
    return found


async def _enrol(store: TenantStore) -> None:
    """alice has an authenticator and recovery codes."""
    alice = await _user(store, "alice")
    made = await store.factors.enrol(alice.id, name="Phone", issuer_name="Acme", account="alice")
    assert await store.factors.confirm(alice.id, made.factor_id, pyotp.TOTP(made.secret).now())
    await store.recovery_codes.make(alice.id)


async def _log_in(store: TenantStore, name: str) -> None:
    """In a browser that is trusted, and by an application from the same network."""
    user = await _user(store, name)
    await store.devices.remember_network(user.id, _HOME.network)
    device, _, _ = await store.devices.remember(user.id, None, visitor=_HOME, lifetime=_MONTH, trusted_for=_MONTH)
    await store.sessions.start_in_browser(
        user.id,
        acr="urn:yett:acr:mfa",
        amr=["pwd", "otp", "mfa"],
        expires_at=user.created_at + _MONTH,
        visitor=_HOME,
        device_id=device.id,
    )


async def _left(store: TenantStore) -> tuple[bool, int, int, int]:
    alice = await _user(store, "alice")
    return (
        await store.factors.has_any(alice.id),
        await store.recovery_codes.left(alice.id),
        len(await store.devices.of_user(alice.id)),
        len(await store.sessions.of_user(alice.id)),
    )


def test_who_lost_their_second_factor_gets_rid_of_it_and_of_what_stood_in_for_it(here: Installation) -> None:
    in_acme(here, _enrol)
    in_acme(here, lambda store: _log_in(store, "alice"))
    assert in_acme(here, _left) == (True, 10, 1, 1)
    letters = len(here.rows("SELECT id FROM mail_outbox WHERE kind = 'factor_removed'"))
    said = here.does("user", "reset-factors", *_ACME, "alice")
    assert said == {"name": "alice", "factors": 1, "devices": 1, "sessions_ended": 1}
    assert in_acme(here, _left) == (False, 0, 0, 0)
    event = last_event(here)
    assert (event["type"], event["user_name"]) == ("user.factors_reset", "alice")
    assert event["details"] == {"factors": 1, "devices": 1, "sessions_ended": 1}
    assert len(here.rows("SELECT id FROM mail_outbox WHERE kind = 'factor_removed'")) == letters + 1
    again = here.does("user", "reset-factors", *_ACME, "alice")
    assert again == {"name": "alice", "factors": 0, "devices": 0, "sessions_ended": 0}
    assert len(here.rows("SELECT id FROM mail_outbox WHERE kind = 'factor_removed'")) == letters + 1
    refused(here, "user", "reset-factors", *_ACME, "nobody", says="there is no user 'nobody' in acme")


def test_sessions_are_listed_and_ended(here: Installation) -> None:
    in_acme(here, lambda store: _log_in(store, "bob"))
    (session,) = here.does("user", "sessions", *_ACME, "bob")
    assert (session["address"], session["user_agent"]) == ("192.0.2.1", "Firefox")
    assert session["amr"] == ["mfa", "otp", "pwd"]
    lines = here.run("user", "sessions", *_ACME, "bob").out.splitlines()
    assert lines[0].split() == ["ID", "AUTHENTICATED", "SEEN", "AMR", "CLIENT_ID", "ADDRESS", "USER_AGENT"]
    assert lines[1].startswith(session["id"])
    ended = here.run("user", "end-sessions", *_ACME, "bob")
    assert ended.out == "ended 1 sessions of bob in acme\n"
    assert here.does("user", "sessions", *_ACME, "bob") == []
    assert (last_event(here)["type"], last_event(here)["details"]) == ("user.sessions_ended", {"sessions_ended": 1})
    refused(here, "user", "sessions", *_ACME, "nobody", says="there is no user 'nobody' in acme")
    refused(here, "user", "end-sessions", *_ACME, "nobody", says="there is no user 'nobody' in acme")


def test_who_has_to_wait_is_unlocked(here: Installation) -> None:
    here.does("user", "set-email", *_ACME, "alice", "alice@example.com")
    in_acme(here, lambda store: _log_in(store, "alice"))

    async def counters(store: TenantStore) -> list[throttles.Counter]:
        alice = await _user(store, "alice")
        (device,) = await store.devices.of_user(alice.id)
        source = f"device:{device.id}"
        return [
            *(throttles.account("alice"), throttles.account("alice@example.com"), throttles.factor(alice.id)),
            *(throttles.known(alice.id, source), throttles.factor(alice.id, source)),
            throttles.known(alice.id, "network:192.0.2.1/32"),
        ]

    async def attempt(store: TenantStore) -> list[Allow | Throttled]:
        return [await store.throttles.reserve(counter) for counter in await counters(store)]

    async def use_up(store: TenantStore) -> None:
        for _ in range(KNOWN.free):
            await attempt(store)

    in_acme(here, use_up)
    assert all(isinstance(answer, Throttled) for answer in in_acme(here, attempt))

    assert here.run("user", "unlock", *_ACME, "Alice@Example.com").out == "unlocked alice in acme\n"
    assert last_event(here)["type"] == "user.unlocked"
    assert all(isinstance(answer, Allow) for answer in in_acme(here, attempt))
    refused(here, "user", "unlock", *_ACME, "nobody", says="there is no user 'nobody' in acme")
    refused(here, "user", "unlock", "--tenant", "nothing", "alice", says="there is no tenant 'nothing'")


def test_a_reset_is_sent_to_who_can_be_written_to_and_can_log_in(here: Installation, with_mail: Installation) -> None:
    refused(here, "user", "send-reset", *_ACME, "mallory", says="no mail is configured")
    refused(with_mail, "user", "send-reset", *_ACME, "mallory", says="mallory in acme has no email address")
    here.does("user", "set-email", *_ACME, "mallory", "mallory@example.com")
    said = with_mail.does("user", "send-reset", *_ACME, "mallory")
    assert said == {"name": "mallory", "email": "mallory@example.com"}
    assert here.rows("SELECT count(*) FROM mail_outbox WHERE kind = 'reset'") == [(1,)]
    assert last_event(here)["type"] == "user.reset_sent"
    here.does("user", "disable", *_ACME, "mallory")
    refused(with_mail, "user", "send-reset", *_ACME, "mallory", says="mallory in acme is disabled")
    here.does("user", "enable", *_ACME, "mallory")


# -- the demo --------------------------------------------------------------------------------------------------------


def test_the_demo_names_its_pages_and_where_its_letters_go(demo: Demo) -> None:
    for slug in ("acme", "globex"):
        assert f"\n  http://localhost:{demo.port}/t/{slug}/login\n" in demo.banner
        shown = yett("tenant", "show", slug, "--data", demo.data, "--json").json
        assert (shown["otp"], shown["sign_up"], shown["trusted_devices"]) == ("optional", True, True)
        bob = yett("user", "show", "--tenant", slug, "bob", "--data", demo.data, "--json").json
        assert (bob["email"], bob["email_verified"]) == (f"bob@{slug}.test", True)
    assert re.search(rf"^  letters +{re.escape(str(demo.data))}/mail$", demo.banner, re.MULTILINE)


def test_the_demos_invitation_leads_to_the_first_operators_password(demo: Demo) -> None:
    link = re.search(r"^  (http://localhost:\d+/t/platform/invite\?token=yic_\S+)$", demo.banner, re.MULTILINE)
    assert link is not None
    assert f":{demo.port}/" in link[1]  # and it leads where tests/e2e/test_admin_api.py follows it
    roles = yett("role", "list", "--tenant", "platform", "--data", demo.data, "--json").json
    assert [role["name"] for role in roles] == ["admin", "auditor", "owner", "support"]


def test_the_demos_letters_stay_on_this_machine(tmp_path: Path) -> None:
    away = yett("demo", "--data", tmp_path, "--smtp", "mail.example.com:25")
    assert (away.code, list(tmp_path.iterdir())) == (1, [])
    assert away.err == "yett: the demo's letters stay on this machine, and --smtp says mail.example.com:25\n"
    assert yett("demo", "--data", tmp_path, "--smtp", "localhost").code == 2

"""Who gets which letter, with links that open what they say and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.mail.mailer import Mailer
from tenants.database import Database
from tenants.directory import Directory
from tenants.mail_outbox import LetterKind
from tenants.people import PeoplePolicy
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.gateway.mail.conftest import ALICE, ISSUER, PUBLIC_URL, events, find, links_of, put, token_of, waiting
from tests.gateway.mail.post_office import PostOffice

ASKED = {"asked_as": ALICE, "password_version": ""}


async def set_people(store: Store, tenant: Tenant, **changes: Any) -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.settings.set_people(replace(PeoplePolicy(), **changes))


@pytest.mark.parametrize("identifier", ["alice", "ALICE", ALICE, "Alice@Example.com"])
async def test_a_reset_goes_to_the_account_of_that_name_or_address(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User, identifier: str, clock: Clock
) -> None:
    await put(store, acme, "reset", identifier=identifier)

    assert await mailer.deliver() == 1

    (letter,) = office.letters
    assert letter.recipient == ALICE
    link = await find(store, acme, "reset", token_of(letter, "reset"))
    assert link is not None
    assert (link.user_id, link.email) == (alice.id, ALICE)
    assert link.expires_at == clock() + acme.lifetimes.reset_link
    assert "within 30 minutes" in letter.text


async def test_a_reset_of_nobody_is_silent(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, clock: Clock
) -> None:
    for identifier in ("nobody", "nobody@example.com", "", " ", "\ud800", "a\r\nb", "\0", "x" * 5000):
        await put(store, acme, "reset", identifier=identifier)

    assert await mailer.deliver() == 0

    assert office.letters == []
    assert await events(database, acme) == []
    assert await waiting(database, clock) == 0


@pytest.mark.parametrize("kind", ["reset", "sign_up", "verify", "new_device", "password_changed", "factor_removed"])
async def test_a_disabled_user_gets_no_letter(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, kind: LetterKind
) -> None:
    await set_people(store, acme, sign_up=True)
    async with store.for_tenant(acme.id) as mine:
        await mine.users.set_active(alice.id, False)
    await put(store, acme, kind, identifier="alice", email=ALICE, user_id=str(alice.id))

    assert await mailer.deliver() == 0

    assert office.letters == []
    assert await events(database, acme) == []


@pytest.mark.parametrize("kind", ["reset", "new_device"])
async def test_a_user_without_an_address_gets_no_letter(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, kind: LetterKind
) -> None:
    async with store.for_tenant(acme.id) as mine:
        bob = await mine.users.create("bob")
    await put(store, acme, kind, identifier="bob", user_id=str(bob.id))

    assert await mailer.deliver() == 0
    assert office.letters == []


async def test_a_suspended_tenant_sends_nothing(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    await put(store, acme, "reset", identifier="alice")

    assert await mailer.deliver() == 0
    assert office.letters == []


async def test_an_unconfirmed_address_gets_the_reset_that_will_confirm_it(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant
) -> None:
    """Who was imported has no other way in."""
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("bob", email="bob@example.com", email_verified=False)
    await put(store, acme, "reset", identifier="bob")

    await mailer.deliver()

    assert len(office.sent_to("bob@example.com")) == 1


async def test_a_newer_reset_ends_the_older(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    tokens = []
    for _ in range(2):
        await put(store, acme, "reset", identifier="alice")
        await mailer.deliver()
        tokens.append(token_of(office.letters[-1], "reset"))

    assert await find(store, acme, "reset", tokens[0]) is None
    assert await find(store, acme, "reset", tokens[1]) is not None


async def test_a_sign_up_of_an_unknown_address_is_a_link(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, clock: Clock
) -> None:
    await set_people(store, acme, sign_up=True)
    await put(store, acme, "sign_up", email="New@example.com")

    await mailer.deliver()

    (letter,) = office.sent_to("New@example.com")
    link = await find(store, acme, "sign_up", token_of(letter, "verify"))
    assert link is not None
    assert (link.user_id, link.email) == (None, "New@example.com")
    assert link.expires_at == clock() + acme.lifetimes.verification_link


async def test_a_sign_up_of_a_known_address_tells_its_owner_and_makes_no_link(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User, superuser: AsyncEngine
) -> None:
    await set_people(store, acme, sign_up=True)
    await put(store, acme, "sign_up", email="ALICE@example.com")

    await mailer.deliver()

    (letter,) = office.letters
    assert letter.recipient == ALICE, "as the account has it, not as somebody typed it"
    assert "already have an account" in letter.message["Subject"]
    assert links_of(letter) == [f"{ISSUER}/login"]
    async with superuser.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        assert (await connection.exec_driver_sql("SELECT count(*) FROM mail_links")).scalar_one() == 0


async def test_nobody_signs_up_where_the_tenant_does_not_want_it(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant
) -> None:
    await put(store, acme, "sign_up", email="new@example.com")

    assert await mailer.deliver() == 0
    assert office.letters == []


@pytest.mark.parametrize("kind", ["sign_up", "verify", "invite"])
async def test_what_is_no_address_is_given_up_without_a_link(
    mailer: Mailer,
    office: PostOffice,
    store: Store,
    database: Database,
    acme: Tenant,
    alice: User,
    kind: LetterKind,
    clock: Clock,
) -> None:
    await set_people(store, acme, sign_up=True)
    for email in ("no address", "a@b@c", "x@example.com\r\nBcc: y@evil.test", '"a b"@example.com'):
        await put(store, acme, kind, email=email, user_id=str(alice.id), name="x", roles="", invited_by="", **ASKED)

    await mailer.deliver()

    assert office.letters == []
    told = await events(database, acme)
    assert [(event["type"], event["reason"]) for event in told] == [("mail.failed", "unwritable")] * 4
    assert await waiting(database, clock) == 0


async def test_an_address_is_verified_by_a_link_that_knows_user_and_address(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    tokens = []
    for email in ("alice@other.example", "alice@third.example"):
        await put(store, acme, "verify", user_id=str(alice.id), email=email, **ASKED)
        await mailer.deliver()
        (letter,) = office.sent_to(email)
        tokens.append(token_of(letter, "verify"))

    assert await find(store, acme, "verify", tokens[0]) is None, "a newer one ends it"
    link = await find(store, acme, "verify", tokens[1])
    assert link is not None
    assert (link.user_id, link.email) == (alice.id, "alice@third.example")


@pytest.mark.parametrize("changed", [{"asked_as": "alice@before.example"}, {"password_version": "1"}])
async def test_an_address_is_not_verified_for_who_asked_before_the_account_changed(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User, changed: dict[str, str]
) -> None:
    await put(store, acme, "verify", user_id=str(alice.id), email="thief@evil.test", **(ASKED | changed))

    assert await mailer.deliver() == 0
    assert office.letters == []


async def test_an_address_that_is_verified_already_needs_no_letter(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    await put(store, acme, "verify", user_id=str(alice.id), email=ALICE, **ASKED)

    assert await mailer.deliver() == 0
    assert office.letters == []


async def test_an_invitation_remembers_what_was_promised(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, clock: Clock
) -> None:
    await put(
        store, acme, "invite", email="bob@example.com", name="bob", roles="reader writer", invited_by="Alice <b>A</b>"
    )

    await mailer.deliver()

    (letter,) = office.sent_to("bob@example.com")
    assert "Alice <b>A</b> invites you to Acme" in letter.text
    assert "<b>" not in letter.html
    link = await find(store, acme, "invite", token_of(letter, "invite"))
    assert link is not None
    assert (link.user_id, link.email) == (None, "bob@example.com")
    assert link.data == {"name": "bob", "roles": "reader writer", "invited_by": "Alice <b>A</b>"}
    assert link.expires_at == clock() + acme.lifetimes.invitation
    assert "within 7 days" in letter.text


async def test_a_newer_invitation_ends_the_older(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant
) -> None:
    for roles in ("admin", "reader"):
        await put(store, acme, "invite", email="bob@example.com", name="bob", roles=roles, invited_by="")
        await put(store, acme, "invite", email=f"{roles}@example.com", name=roles, roles="", invited_by="")
        await mailer.deliver()

    first, second = (token_of(letter, "invite") for letter in office.sent_to("bob@example.com"))
    assert await find(store, acme, "invite", first) is None
    assert await find(store, acme, "invite", second) is not None
    (other,) = office.sent_to("admin@example.com")
    assert await find(store, acme, "invite", token_of(other, "invite")) is not None


async def test_links_are_of_the_issuer_that_the_tenant_was_made_with(
    mailer: Mailer, office: PostOffice, store: Store, directory: Directory
) -> None:
    """No request's ``Host`` gets here: a request leaves a name or an address, and nothing else of it is kept."""
    own = await directory.create(slug="own", name="Own", issuer="https://login.own.example", actor="test")
    await put(store, own, "invite", email="bob@example.com", name="bob", roles="", invited_by="x")

    await mailer.deliver()

    (link,) = links_of(office.letters[0])
    assert link.startswith("https://login.own.example/invite?token=yic_")
    assert PUBLIC_URL not in office.letters[0].text


async def test_the_same_name_in_two_tenants_is_two_people(
    mailer: Mailer, office: PostOffice, store: Store, directory: Directory, acme: Tenant, alice: User
) -> None:
    globex = await directory.create(slug="globex", name="Globex", issuer=f"{PUBLIC_URL}/t/globex", actor="test")
    async with store.for_tenant(globex.id) as theirs:
        await theirs.users.create("alice", email="alice@globex.example")
    await put(store, globex, "reset", identifier="alice")

    await mailer.deliver()

    (letter,) = office.letters
    assert letter.recipient == "alice@globex.example"
    (link,) = links_of(letter)
    token = link.partition("=")[2]
    assert await find(store, acme, "reset", token) is None
    assert await find(store, globex, "reset", token) is not None


async def test_every_kind_has_somebody_who_looks_up_its_recipient(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    await set_people(store, acme, sign_up=True)
    kinds: tuple[LetterKind, ...] = get_args(LetterKind)
    for number, kind in enumerate(kinds):
        to = f"somebody-{number}@example.com"
        await put(store, acme, kind, identifier="alice", email=to, old_email=to, user_id=str(alice.id), **ASKED)

    assert await mailer.deliver() == len(kinds)


@pytest.mark.parametrize(
    ("lifetime", "spoken"),
    [
        (timedelta(seconds=30), "1 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=7), "7 days"),
    ],
)
async def test_a_lifetime_is_said_in_words(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, lifetime: timedelta, spoken: str
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_lifetimes({"invitation": int(lifetime.total_seconds())})
    await put(store, acme, "invite", email="bob@example.com", name="bob", roles="", invited_by="")

    await mailer.deliver()

    assert f"within {spoken}." in " ".join(office.letters[0].text.split())

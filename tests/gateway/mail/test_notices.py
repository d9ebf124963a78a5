"""What owners are told, and how many letters a stranger may have written to one address."""

import pytest

from gateway.mail.mailer import Mailer
from tenants.database import Database
from tenants.mail_outbox import LetterKind
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.gateway.mail.conftest import ALICE, ISSUER, events, find, links_of, put, token_of
from tests.gateway.mail.post_office import PostOffice


async def test_a_new_device_is_told_with_what_is_known_of_it(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User, clock: Clock
) -> None:
    await put(
        store,
        acme,
        "new_device",
        user_id=str(alice.id),
        address="203.0.113.7",
        user_agent="Firefox\r\nBcc: x@evil.test <img src=x>",
    )
    clock.advance(minutes=5)

    await mailer.deliver()

    (letter,) = office.letters
    assert letter.recipient == ALICE
    assert "Time: 25 November 2026, 12:00 UTC\n" in letter.text, "when it happened, not when it was sent"
    assert "Address: 203.0.113.7 (Berlin, Germany)\n" in letter.text
    assert "Browser: FirefoxBcc: x@evil.test <img src=x>\n" in letter.text
    assert "<img" not in letter.html
    assert letter.message["Bcc"] is None
    assert links_of(letter) == [f"{ISSUER}/account"]


async def test_a_place_that_is_not_known_is_not_invented(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    await put(store, acme, "new_device", user_id=str(alice.id), address="203.0.113.8")

    await mailer.deliver()

    assert "Address: 203.0.113.8\nBrowser: not known\n" in office.letters[0].text


@pytest.mark.parametrize("kind", ["password_changed", "factor_added", "factor_removed"])
async def test_a_change_is_told_to_its_owner(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, kind: LetterKind
) -> None:
    await put(store, acme, kind, user_id=str(alice.id))

    await mailer.deliver()

    (letter,) = office.sent_to(ALICE)
    assert "25 November 2026, 12:00 UTC" in " ".join(letter.text.split())
    page = "forgot" if kind == "password_changed" else "account"  # who does not know the password cannot get there
    assert links_of(letter) == [f"{ISSUER}/{page}"]
    (event,) = await events(database, acme)
    assert event == {
        "type": "mail.sent",
        "outcome": "success",
        "subject": str(alice.id),
        "details": {"kind": kind, "attempts": 1},
    }


async def test_a_changed_address_is_told_to_the_old_one_which_does_not_learn_the_new(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant
) -> None:
    async with store.for_tenant(acme.id) as mine:
        user = await mine.users.create("new-and-private@example.com", email_verified=True)
    await put(store, acme, "email_changed", user_id=str(user.id), old_email="old@example.com")

    await mailer.deliver()

    (letter,) = office.letters
    assert letter.recipient == "old@example.com"
    assert b"new-and-private" not in letter.content


async def test_an_address_gets_a_few_letters_that_strangers_ask_for_and_then_waits(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, clock: Clock
) -> None:
    for identifier in ("alice", ALICE, "Alice", "alice@EXAMPLE.com", "alice"):
        await put(store, acme, "reset", identifier=identifier)
    await mailer.deliver()
    assert len(office.letters) == 3, "one count for the account, whatever was typed"
    assert len(await events(database, acme)) == 3, "what was not sent is no event: a stranger would write the log"

    newest = token_of(office.letters[-1], "reset")
    valid = [await find(store, acme, "reset", token_of(letter, "reset")) for letter in office.letters]
    assert sum(link is not None for link in valid) == 1
    assert newest

    clock.advance(hours=1)
    await put(store, acme, "reset", identifier="alice")
    await mailer.deliver()
    assert len(office.letters) == 4


async def test_a_letter_too_many_leaves_the_last_link_alone(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    """Else a stranger could keep an owner from ever using one."""
    for _ in range(4):
        await put(store, acme, "reset", identifier="alice")
        await mailer.deliver()

    assert len(office.letters) == 3
    assert await find(store, acme, "reset", token_of(office.letters[-1], "reset")) is not None


async def test_notices_are_not_counted(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant, alice: User
) -> None:
    for _ in range(6):
        await put(store, acme, "password_changed", user_id=str(alice.id))
    await mailer.deliver()

    assert len(office.letters) == 6

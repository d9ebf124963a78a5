"""What is not taken is tried again, given up in the end, and told."""

import asyncio
from datetime import timedelta

from structlog.testing import capture_logs

from gateway.mail.mailer import Mailer
from gateway.mail.sender import Envelope, PutOff, ServerAway
from gateway.mail.writer import Writer
from tenants.database import Database
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.gateway.mail.conftest import (
    ALICE,
    PUBLIC_URL,
    MakeMailer,
    Scripted,
    events,
    find,
    invite,
    put,
    token_of,
    waiting,
)
from tests.gateway.mail.post_office import PostOffice, Received


async def test_a_letter_that_the_server_puts_off_is_tried_again_with_another_link_and_the_first_is_dead(
    mailer_of: MakeMailer, store: Store, database: Database, acme: Tenant, alice: User, office: PostOffice, clock: Clock
) -> None:
    sender = Scripted(PutOff("content_refused", status=451))
    mailer = mailer_of(sender)
    await put(store, acme, "reset", identifier="alice")

    assert await mailer.deliver() == 1
    assert await mailer.deliver() == 0, "not before its time"
    clock.advance(seconds=14)
    assert await mailer.deliver() == 0
    clock.advance(seconds=1)
    assert await mailer.deliver() == 1

    first, second = (_received(envelope) for envelope in sender.sent)
    assert await find(store, acme, "reset", first) is None
    assert await find(store, acme, "reset", second) is not None
    (event,) = await events(database, acme)
    assert (event["type"], event["details"]["attempts"]) == ("mail.sent", 2)


def _received(envelope: Envelope) -> str:
    return token_of(Received(envelope.sender, envelope.recipient, envelope.content, True, None), "reset")


async def test_a_temporary_refusal_is_retried_until_it_is_taken(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, "bob")
    office.to_recipients["bob@example.com"] = "450 4.2.0 greylisted"
    for _ in range(5):
        await mailer.deliver()
        clock.advance(hours=1)
    assert office.letters == []
    assert await events(database, acme) == []

    del office.to_recipients["bob@example.com"]
    await mailer.deliver()

    assert len(office.letters) == 1
    (event,) = await events(database, acme)
    assert event["details"] == {"kind": "invite", "attempts": 6}


async def test_a_permanent_refusal_is_given_up_and_told(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, clock: Clock
) -> None:
    await put(store, acme, "reset", identifier="alice")
    office.to_recipients[ALICE] = "550 5.1.1 no such user"

    await mailer.deliver()

    assert await waiting(database, clock) == 0
    (event,) = await events(database, acme)
    assert event == {
        "type": "mail.failed",
        "outcome": "refused",
        "reason": "recipient_refused",
        "subject": str(alice.id),
        "details": {"kind": "reset", "attempts": 1, "smtp_status": 550},
    }


async def test_a_letter_is_given_up_after_a_day_and_told(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, "bob")
    office.to_recipients["bob@example.com"] = "450 4.2.0 greylisted"
    for _ in range(26):
        await mailer.deliver()
        clock.advance(hours=1)

    assert await waiting(database, clock) == 0
    (event,) = await events(database, acme)
    assert (event["type"], event["reason"], event["details"]["kind"]) == ("mail.failed", "too_old", "invite")


async def test_letters_wait_for_a_server_that_is_away_and_go_when_it_is_back(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, *(f"user-{number}" for number in range(12)))
    await office.close()
    for _ in range(8):
        assert await mailer.deliver() == 0
        clock.advance(minutes=2)
    assert await waiting(database, clock) == 12
    assert await events(database, acme) == []

    await office.open()
    assert await mailer.deliver() == 12, "none of them is punished for the server's absence"
    assert len({letter.recipient for letter in office.letters}) == 12


async def test_a_server_that_is_away_is_left_alone_for_a_while(
    mailer_of: MakeMailer, store: Store, acme: Tenant, clock: Clock
) -> None:
    sender = Scripted(*(ServerAway("server_away") for _ in range(1000)))
    mailer = mailer_of(sender)
    await invite(store, acme, *(f"user-{number}" for number in range(50)))

    for _ in range(100):
        await mailer.deliver()
    assert len(sender.sent) <= 4, "a connection each, and then no more until the pause is over"

    for _ in range(60):
        clock.advance(seconds=1)
        await mailer.deliver()
    assert len(sender.sent) <= 4 * 8


async def test_a_link_of_a_letter_that_found_no_server_is_dead(
    mailer_of: MakeMailer, store: Store, acme: Tenant, alice: User
) -> None:
    sender = Scripted(ServerAway("server_away"))
    await put(store, acme, "reset", identifier="alice")

    await mailer_of(sender).deliver()

    assert await find(store, acme, "reset", _received(sender.sent[0])) is None


async def test_an_absence_that_several_connections_meet_is_one(
    mailer_of: MakeMailer, store: Store, acme: Tenant, clock: Clock
) -> None:
    class Away(Scripted):
        together = asyncio.Barrier(4)

        async def send(self, envelope: Envelope, /) -> None:
            self.sent.append(envelope)
            if len(self.sent) <= 4:
                async with asyncio.timeout(10):
                    await self.together.wait()
                raise ServerAway("server_away")

    sender = Away()
    mailer = mailer_of(sender)
    await invite(store, acme, *(f"user-{number}" for number in range(8)))
    await mailer.deliver()
    assert len(sender.sent) == 4

    clock.advance(seconds=1)

    assert await mailer.deliver() == 8, "after the first absence the pause is a second"


async def test_letters_wait_for_a_sender_that_they_can_be_from(
    database: Database, store: Store, acme: Tenant, alice: User, clock: Clock
) -> None:
    sender = Scripted()

    def mailer_from(address: str) -> Mailer:
        writer = Writer(sender=address, public_url=PUBLIC_URL, clock=clock)
        return Mailer(database, store, writer=writer, sender=sender, longest=timedelta(minutes=1), clock=clock)

    await put(store, acme, "reset", identifier="alice")
    with capture_logs() as logs:
        await mailer_from("a..b@example.com").deliver()
    assert [(entry["event"], entry["tenant"]) for entry in logs] == [("letter_without_sender", "acme")]
    assert (sender.sent, await events(database, acme)) == ([], [])

    clock.advance(seconds=15)
    await mailer_from("auth@example.com").deliver()

    assert [envelope.recipient for envelope in sender.sent] == [ALICE]


async def test_letters_of_a_suspended_tenant_wait_for_it_and_are_given_up_when_too_old(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User, clock: Clock
) -> None:
    async def set_active(active: bool) -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.settings.set_active(active)

    await set_active(False)
    await put(store, acme, "reset", identifier="alice")
    assert await mailer.deliver() == 0
    assert await waiting(database, clock) == 1
    clock.advance(minutes=2)
    await set_active(True)
    assert await mailer.deliver() == 1
    (event,) = await events(database, acme)
    assert (event["type"], event["details"]["attempts"]) == ("mail.sent", 1), "so that it counts as asked for"

    await set_active(False)
    await put(store, acme, "reset", identifier="alice")
    for _ in range(3):
        await mailer.deliver()
        clock.advance(hours=12)
    assert len(office.letters) == 1
    assert await waiting(database, clock) == 0
    assert (await events(database, acme))[-1]["reason"] == "too_old"

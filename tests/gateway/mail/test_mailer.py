"""The job: every letter once, if the server takes it; again later, if not; and no letter in another's way."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from gateway.jobs import Job, Jobs
from gateway.mail.mailer import Mailer
from gateway.mail.sender import Envelope
from gateway.mail.smtp import SmtpSender
from gateway.mail.writer import Writer
from tenants import mail_outbox
from tenants.database import DATABASE_ERRORS, Database
from tenants.directory import Directory
from tenants.store import Store
from tenants.tables import metadata
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.gateway.mail.conftest import (
    PUBLIC_URL,
    MakeMailer,
    Scripted,
    events,
    invite,
    put,
    server_at,
    waiting,
)
from tests.gateway.mail.post_office import PostOffice


async def test_what_was_sent_is_gone_from_the_outbox(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, *"abcdefgh")

    assert await mailer.deliver() == 8
    assert await mailer.deliver() == 0

    assert sorted(letter.recipient[0] for letter in office.letters) == list("abcdefgh")
    assert await waiting(database, clock) == 0
    assert [event["type"] for event in await events(database, acme)] == ["mail.sent"] * 8


async def test_an_event_names_no_address_and_no_token(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, alice: User
) -> None:
    await invite(store, acme, "bob")
    await put(store, acme, "reset", identifier="alice")
    office.to_recipients["bob@example.com"] = "550 5.1.1 no such user"

    await mailer.deliver()

    told = await events(database, acme)
    assert {event["type"] for event in told} == {"mail.sent", "mail.failed"}
    assert not any(secret in str(told) for secret in ("@", "token", "ypr_", "yic_"))


async def test_two_mailers_at_once_send_each_letter_once(
    mailer_of: MakeMailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, *(f"user-{number}" for number in range(30)))
    mailers = [mailer_of(SmtpSender(server_at(office))) for _ in range(2)]

    counts = await asyncio.gather(*(mailer.deliver() for mailer in mailers))

    assert sum(counts) == 30
    assert len({letter.recipient for letter in office.letters}) == len(office.letters) == 30
    assert await waiting(database, clock) == 0
    assert len(await events(database, acme)) == 30


async def test_no_more_than_a_few_connections_are_open_at_once(
    mailer: Mailer, office: PostOffice, store: Store, acme: Tenant
) -> None:
    await invite(store, acme, *(f"user-{number}" for number in range(20)))

    await mailer.deliver()

    assert 1 < office.most_connected <= 4


async def test_no_transaction_is_open_while_a_server_is_spoken_to(
    mailer_of: MakeMailer, store: Store, database: Database, acme: Tenant
) -> None:
    class Asking(Scripted):
        async def send(self, envelope: Envelope, /) -> None:
            async with asyncio.timeout(5):  # SQLite has one place at which it writes
                await invite(store, acme, "late") if not self.sent else None
            await super().send(envelope)

    await invite(store, acme, "bob")
    sender = Asking()

    assert await mailer_of(sender).deliver() == 2, "what came in meanwhile goes, too"
    assert [envelope.recipient for envelope in sender.sent] == ["bob@example.com", "late@example.com"]


async def test_a_letter_that_hangs_stops_no_other(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    office.holds.add("hangs@example.com")
    await invite(store, acme, "hangs", "a", "b", "c", "d", "e", "f")
    delivering = asyncio.create_task(mailer.deliver())
    await office.has(6)
    await invite(store, acme, "late")
    await office.has(7)
    assert office.sent_to("hangs@example.com") == []

    office.released.set()

    assert await delivering == 8
    assert await waiting(database, clock) == 0


async def test_a_letter_of_a_process_that_died_is_sent_by_another(
    mailer: Mailer, office: PostOffice, store: Store, database: Database, acme: Tenant, clock: Clock
) -> None:
    await invite(store, acme, "bob")
    async with database.system_snapshot() as connection:
        ((_, letter_id),) = await mail_outbox.due(connection, clock(), limit=1)
    async with store.for_tenant(acme.id) as mine:
        assert await mine.mail_outbox.claim(letter_id, lease=timedelta(minutes=2)) is not None
    assert await mailer.deliver() == 0

    clock.advance(minutes=2)

    assert await mailer.deliver() == 1
    assert len(office.letters) == 1


@pytest.mark.parametrize("broken", ["seal", "fields", "sender"])
async def test_a_letter_that_nobody_can_read_or_send_stops_no_other_and_is_given_up_in_the_end(
    mailer_of: MakeMailer,
    store: Store,
    database: Database,
    acme: Tenant,
    clock: Clock,
    broken: str,
    superuser: AsyncEngine,
) -> None:
    class Breaking(Scripted):
        async def send(self, envelope: Envelope, /) -> None:
            await super().send(envelope)
            if "broken" in envelope.recipient:
                raise RuntimeError("a bug")

    sender = Breaking()
    mailer = mailer_of(sender)
    match broken:
        case "seal":
            await invite(store, acme, "broken")
            async with superuser.begin() as connection:
                await connection.execute(update(metadata.tables["mail_outbox"]).values(sealed_fields=b"\x01"))
        case "fields":
            await put(store, acme, "reset")
        case "sender":
            await invite(store, acme, "broken")
    clock.advance(seconds=1)
    await invite(store, acme, "a", "b", "c", "d", "e")

    with capture_logs() as logs:
        await mailer.deliver()
        await mailer.deliver()
    assert {envelope.recipient[0] for envelope in sender.sent if "broken" not in envelope.recipient} == set("abcde")
    assert [entry["event"] for entry in logs] == ["letter_unsealable" if broken == "seal" else "letter_failed"]

    clock.advance(days=1)
    await mailer.deliver()
    assert await waiting(database, clock) == 0
    assert (await events(database, acme))[-1]["reason"] == "too_old"


async def test_no_tenant_waits_behind_a_flood_in_another(
    mailer_of: MakeMailer, store: Store, directory: Directory, acme: Tenant, clock: Clock
) -> None:
    globex = await directory.create(slug="globex", name="Globex", issuer=f"{PUBLIC_URL}/t/globex", actor="test")
    await invite(store, acme, *(f"user-{number}" for number in range(40)))
    clock.advance(seconds=1)
    await invite(store, globex, "owner")
    sender = Scripted()

    await mailer_of(sender).deliver()

    place = [envelope.recipient for envelope in sender.sent].index("owner@example.com")
    assert place < 8


async def test_it_runs_as_a_job(mailer: Mailer, office: PostOffice, store: Store, acme: Tenant) -> None:
    jobs = Jobs([Job("mail", 0.01, mailer.deliver)])
    jobs.start()
    await invite(store, acme, "a")
    await office.has(1)
    await invite(store, acme, "b")
    await office.has(2)
    await jobs.stop()


async def test_a_database_that_is_away_is_the_jobs_to_try_again(store: Store, writer: Writer, clock: Clock) -> None:
    nobody = "postgresql+psycopg://yett@127.0.0.1:1/yett"
    away = Database.open(nobody, nobody)
    mailer = Mailer(away, store, writer=writer, sender=Scripted(), longest=timedelta(minutes=1), clock=clock)

    with pytest.raises(DATABASE_ERRORS):
        await mailer.deliver()
    await away.close()

"""What the tests of letters share: a tenant with alice in it, a post office, mailers that send there."""

import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.mail.mailer import Mailer
from gateway.mail.sender import Envelope, Sender
from gateway.mail.smtp import Server, SmtpSender
from gateway.mail.writer import Writer
from tenants import mail_outbox
from tenants.audit_log import AuditLog
from tenants.database import Database, postgresql_engine
from tenants.directory import Directory
from tenants.mail_links import MailLink, Purpose
from tenants.mail_outbox import LetterKind
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock, DatabaseUrls
from tests.gateway.mail.certificate import SelfMade, make
from tests.gateway.mail.post_office import PostOffice, Received, post_office

PUBLIC_URL = "https://auth.example.com"
ISSUER = f"{PUBLIC_URL}/t/acme"
SENDER = "Yett <yett@example.com>"
ALICE = "alice@example.com"


@pytest.fixture
async def acme(directory: Directory) -> Tenant:
    return await directory.create(slug="acme", name="Acme", issuer=ISSUER, actor="test")


@pytest.fixture
async def alice(store: Store, acme: Tenant) -> User:
    async with store.for_tenant(acme.id) as mine:
        return await mine.users.create("alice", email=ALICE, email_verified=True)


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as office:
        yield office


@pytest.fixture(scope="session")
def self_made(tmp_path_factory: pytest.TempPathFactory) -> SelfMade:
    folder: Path = tmp_path_factory.mktemp("certificate")
    return make(folder)


@pytest.fixture
def writer(clock: Clock) -> Writer:
    return Writer(sender=SENDER, public_url=PUBLIC_URL, clock=clock)


def server_at(office: PostOffice, **changes: Any) -> Server:
    """A plain one on loopback, patient enough for a busy machine."""
    values: dict[str, Any] = {"host": "127.0.0.1", "security": "none", "hello": "auth.example.com"}
    return Server(**{"port": office.port, "timeout": timedelta(seconds=20), **values, **changes})


MakeMailer = Callable[[Sender], Mailer]


@pytest.fixture
def mailer_of(database: Database, store: Store, writer: Writer, clock: Clock) -> MakeMailer:
    def make_(sender: Sender) -> Mailer:
        return Mailer(
            database,
            store,
            writer=writer,
            sender=sender,
            longest=timedelta(minutes=1),
            clock=clock,
            place_of=lambda address: "Berlin, Germany" if address == "203.0.113.7" else "",
        )

    return make_


@pytest.fixture
def mailer(mailer_of: MakeMailer, office: PostOffice) -> Mailer:
    return mailer_of(SmtpSender(server_at(office)))


async def put(store: Store, tenant: Tenant, kind: LetterKind, **fields: str) -> None:
    """Leave a letter as a request does."""
    async with store.for_tenant(tenant.id) as mine:
        await mine.mail_outbox.add(kind, fields)


async def events(database: Database, tenant: Tenant) -> list[dict[str, Any]]:
    """What the log tells of letters, oldest first, without what every event has."""
    log = AuditLog(database)
    await log.sequence()
    told = [json.loads(entry.event) async for entry in log.export(tenant.id) if entry.event is not None]
    return [
        {name: value for name, value in event.items() if name not in ("v", "id", "tenant_id", "time")}
        for event in told
        if event["type"].startswith("mail.")
    ]


@pytest.fixture
async def superuser(database: Database, database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    """An engine that no row hides from: on SQLite the only one that there is."""
    if database_urls.admin is None:
        yield database.app
        return
    engine = postgresql_engine(database_urls.admin, pool_size=1)
    yield engine
    await engine.dispose()


def links_of(letter: Received) -> list[str]:
    """Every link in its text, each of which its HTML has as well."""
    found: list[str] = re.findall(r"https?://\S+", letter.text)
    assert all(f'href="{link}"' in letter.html for link in found)
    return found


def token_of(letter: Received, page: str) -> str:
    """The token of the only link in a letter, which leads to this page of acme."""
    (link,) = links_of(letter)
    path, _, token = link.partition("?token=")
    assert path == f"{ISSUER}/{page}"
    return token


async def find(store: Store, tenant: Tenant, purpose: Purpose, token: str) -> MailLink | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return await mine.mail_links.find(purpose, token)


async def waiting(database: Database, clock: Clock) -> int:
    """How many letters there are, due or not."""
    async with database.system_snapshot() as connection:
        return len(await mail_outbox.due(connection, clock() + timedelta(days=99), limit=1000))


async def invite(store: Store, tenant: Tenant, *people: str) -> None:
    for name in people:
        await put(store, tenant, "invite", email=f"{name}@example.com", name=name, roles="", invited_by="Alice")


class Scripted:
    """A sender that fails as it is told, letter after letter, and remembers whom it wrote to."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.sent: list[Envelope] = []

    async def send(self, envelope: Envelope, /) -> None:
        self.sent.append(envelope)
        if self.problems:
            raise self.problems.pop(0)

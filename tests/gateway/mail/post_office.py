"""A real SMTP server (aiosmtpd) on a port of loopback, that takes letters or refuses them as a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

TAKEN = "250 OK"


@dataclass(frozen=True)
class Received:
    """One letter as the server has it. ``message`` is parsed as strictly as Python can."""

    sender: str
    recipient: str
    content: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        return self.part("plain")

    @property
    def html(self) -> str:
        return self.part("html")

    def part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        content: str = part.get_content()
        return content.replace("\r\n", "\n")


@dataclass
class PostOffice:
    """What came in, and what is answered: to a sender, to a recipient, to the content."""

    letters: list[Received] = field(default_factory=list)
    to_senders: str = TAKEN
    to_recipients: dict[str, str] = field(default_factory=dict)
    to_content: str = TAKEN
    holds: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    connected: int = 0
    most_connected: int = 0
    hello: str | None = None
    port: int = 0
    accounts: dict[str, str] = field(default_factory=dict)
    server_factory: Callable[[], SMTP] = field(default=lambda: SMTP(None))
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.server_factory, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nobody answers on the port any more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def has(self, count: int) -> None:
        """Wait until it has this many letters."""
        async with asyncio.timeout(20), self.came:
            await self.came.wait_for(lambda: len(self.letters) >= count)

    def sent_to(self, recipient: str) -> list[Received]:
        return [letter for letter in self.letters if letter.recipient == recipient]

    # aiosmtpd's hooks

    async def handle_EHLO(  # noqa: N802 - its name
        self, _: SMTP, session: Session, __: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.hello = session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 - its name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_senders == TAKEN:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.to_senders

    async def handle_RCPT(  # noqa: N802 - its name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        self.connected += 1
        self.most_connected = max(self.most_connected, self.connected)
        try:
            if address in self.holds:
                await self.released.wait()
            await asyncio.sleep(0.01)
        finally:
            self.connected -= 1
        answer = self.to_recipients.get(address, TAKEN)
        if answer == TAKEN:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        if self.to_content == TAKEN:
            assert isinstance(envelope.content, bytes)
            user = session.auth_data.login.decode() if session.auth_data else None
            encrypted = session.ssl is not None or self.tls is not None
            (recipient,) = envelope.rcpt_tos
            self.letters.append(Received(envelope.mail_from or "", recipient, envelope.content, encrypted, user))
            async with self.came:
                self.came.notify_all()
        return self.to_content

    def authenticate(self, _: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
        """Who is known with this password."""
        known = isinstance(data, LoginPassword) and self.accounts.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False, auth_data=data)


@asynccontextmanager
async def post_office(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    accounts: dict[str, str] | None = None,
) -> AsyncIterator[PostOffice]:
    """An open one. ``accounts``: who may send; None: anybody."""
    office = PostOffice(accounts=accounts or {}, tls=tls)

    def server() -> SMTP:
        return SMTP(
            office,
            hostname="mail.example.net",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=office.authenticate if accounts is not None else None,
            auth_required=accounts is not None,
            auth_require_tls=tls is None,
            loop=asyncio.get_running_loop(),
        )

    office.server_factory = server
    await office.open()
    try:
        yield office
    finally:
        office.released.set()
        await office.close()

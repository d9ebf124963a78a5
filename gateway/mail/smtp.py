"""Letters over SMTP (RFC 5321), one connection each: STARTTLS (RFC 3207), TLS from the start (RFC 8314), or neither.

Owns what the server's answers mean. A certificate is always verified; with ``starttls`` a server that cannot do it gets
no letter and no password.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import structlog
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from gateway.mail.sender import Envelope, PutOff, Refused, ServerAway

_log = structlog.get_logger("yett.mail")
_QUIT_WITHIN = 5.0
_STEPS = 3  # a conversation may take as long as three answers that each take the whole timeout


@dataclass(frozen=True, slots=True)
class Server:
    """Where to, and as whom. ``hello`` is the name that we give ourselves; ``timeout`` is for each answer."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    hello: str
    timeout: timedelta
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def longest(self) -> timedelta:
        """How long a letter may take at most."""
        return self.timeout * _STEPS


class SmtpSender:
    """Sends through one server. ``trust`` is whom to believe certificates of: the system's roots, if not told."""

    def __init__(self, server: Server, *, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._trust = trust or ssl.create_default_context()

    async def send(self, envelope: Envelope, /) -> None:
        """Hand one letter over.

        Raises:
            ServerAway: no connection, no TLS, a wrong certificate, a refused login.
            PutOff: a 4xx answer, a refused sender (somebody may mend that), or no answer.
            Refused: a 5xx answer to this recipient or this content.
        """
        client = self._client()
        try:
            async with asyncio.timeout(self._server.longest.total_seconds()):
                await self._connect(client)
                await self._hand_over(client, envelope)
        except TimeoutError as error:
            raise PutOff("too_slow") from error
        finally:
            await self._leave(client)

    async def greet(self) -> None:
        """Connect, encrypt and log in as for a letter, and send none. Raises ServerAway."""
        client = self._client()
        try:
            await self._connect(client)
        finally:
            await self._leave(client)

    def _client(self) -> SMTP:
        server = self._server
        return SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            local_hostname=server.hello,
            timeout=server.timeout.total_seconds(),
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._trust,
        )

    async def _connect(self, client: SMTP) -> None:
        try:
            await client.connect()
        except SMTPResponseException as error:
            _log.warning("smtp_server_refuses", status=error.code, answer=error.message)
            raise ServerAway("server_refuses", status=error.code) from error
        except (SMTPException, OSError) as error:
            _log.warning("smtp_server_away", error=type(error).__name__, message=str(error))
            raise ServerAway("server_away") from error

    async def _hand_over(self, client: SMTP, envelope: Envelope) -> None:
        """The answers' texts are not told: they quote the recipient."""
        try:
            await client.sendmail(envelope.sender, [envelope.recipient], envelope.content)
        except SMTPRecipientsRefused as error:
            raise _answered("recipient_refused", error.recipients[0].code) from error
        except SMTPDataError as error:
            raise _answered("content_refused", error.code) from error
        except SMTPSenderRefused as error:
            raise PutOff("sender_refused", status=error.code) from error
        except SMTPResponseException as error:
            raise ServerAway("server_refuses", status=error.code) from error
        except (SMTPException, OSError) as error:
            raise PutOff("connection_lost") from error

    async def _leave(self, client: SMTP) -> None:
        """Say good-bye where there is somebody still; whether they answer changes nothing for the letter."""
        try:
            if client.is_connected:
                await client.quit(timeout=_QUIT_WITHIN)
        except (SMTPException, OSError) as error:
            _log.debug("smtp_left_without_goodbye", error=type(error).__name__)
        finally:
            client.close()


def _answered(reason: str, code: int) -> PutOff | Refused:
    return Refused(reason, status=code) if code >= 500 else PutOff(reason, status=code)

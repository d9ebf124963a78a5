"""A real SMTP server (aiosmtpd), in a thread of its own: where the letters of a gateway under test arrive."""

import re
import threading
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.e2e.eventually import eventually
from tests.e2e.ports import free_port

_WITHIN = 20
_ADDRESS = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one person."""

    recipient: str
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def link(self) -> str:
        """The one address that it asks to open. Its HTML has to lead to the same."""
        (found,) = _ADDRESS.findall(self._part("plain"))
        assert f'href="{found}"' in self._part("html")
        link: str = found
        return link

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        text: str = part.get_content()
        return text


class Mailbox:
    """Takes every letter, and hands each out once."""

    def __init__(self) -> None:
        self.port = free_port()
        self._letters: list[Letter] = []
        self._lock = threading.Lock()
        self._server = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> "Mailbox":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """A letter is here."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        with self._lock:
            self._letters.extend(Letter(recipient, message) for recipient in envelope.rcpt_tos)
        return "250 OK"

    def take(self, recipient: str, about: str) -> Letter:
        """The oldest letter to them with this in its subject, once it is here."""
        what = f"a letter to {recipient} about {about}"
        taken = eventually(lambda: self._taken(recipient, about), within=_WITHIN, what=what)
        assert taken is not None
        return taken

    def left(self, recipient: str) -> list[str]:
        """The subjects of the letters to them that nobody took."""
        with self._lock:
            return [letter.subject for letter in self._letters if letter.recipient == recipient]

    def _taken(self, recipient: str, about: str) -> Letter | None:
        with self._lock:
            for letter in self._letters:
                if letter.recipient == recipient and about in letter.subject:
                    self._letters.remove(letter)
                    return letter
        return None

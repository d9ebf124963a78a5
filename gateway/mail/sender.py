"""The way out, as the job sees it: something that takes a letter, or says why it did not."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Envelope:
    """A letter that is ready: ``content`` is the whole message (RFC 5322), in ASCII. ``repr`` keeps it to itself."""

    sender: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


class NotSent(Exception):
    """The letter was not taken. ``reason`` is a code of ours, ``status`` the server's (RFC 5321 section 4.2)."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason if status is None else f"{reason} ({status})")
        self.reason = reason
        self.status = status


class ServerAway(NotSent):
    """No letter can be sent now: the server does not answer, is not who it should be, or does not know us."""


class PutOff(NotSent):
    """This letter cannot be sent now; another may. It may have been taken all the same, if the answer was lost."""


class Refused(NotSent):
    """This letter will never be taken."""


class Sender(Protocol):
    """An outer seam: a server, a folder, or whatever a test puts there."""

    async def send(self, envelope: Envelope, /) -> None:
        """Hand the letter over; to return is to have been told that it was taken.

        Raises:
            NotSent: as one of the three above.
        """

"""Writes a letter: one wording and its values as text and as HTML, in the tenant's name (RFC 5322, RFC 2046 5.1.4).

Owns the headers. No remote content, no header made of what was not checked to be one line; links are handed in, built
from the issuer.
"""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.mail.address import Unwritable, UnwritableSender, display_name, header_text, line, mailbox
from gateway.mail.sender import Envelope
from gateway.mail.wording import LINK, TextName, Wordings, fill
from gateway.settings import HostPort
from tenants.tenant import Tenant

_WIDTH = 76
_DEFAULT_ACCENT = "#1e4fa3"


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter before it is written: which one, to whom, with what values. ``link`` is the one that it leads to."""

    text: TextName
    tenant: Tenant
    to: str = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    link: str = field(repr=False)


class Writer:
    """Makes messages. ``sender`` is the installation's, for tenants without one of their own."""

    def __init__(self, *, sender: str, public_url: str, clock: Callable[[], datetime]) -> None:
        self._sender = parseaddr(sender)[1]
        self._host = HostPort.parse(urlsplit(public_url).netloc).host
        self._clock = clock
        self._wordings = Wordings()
        environment = Environment(
            loader=PackageLoader("gateway.mail"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._html = environment.get_template("letter.html")

    def write(self, draft: Draft) -> Envelope:
        """The finished letter.

        Raises:
            Unwritable: a value that no header or address may hold.
            UnwritableSender: no letter of this tenant can be written.
        """
        tenant = draft.tenant
        try:
            sender = mailbox(tenant.people.mail_sender or self._sender)
        except Unwritable as error:
            raise UnwritableSender from error
        recipient = mailbox(draft.to)
        values = {name: line(name, value) for name, value in draft.values.items()} | {"tenant": tenant.name}
        wording = self._wordings.of(draft.text, dict(tenant.people.mail_texts))
        subject = header_text(fill(wording.subject, values))
        body = wording.body if LINK in wording.body else f"{wording.body}\n\n{LINK}"

        message = EmailMessage(policy=SMTP)
        message["From"] = Address(display_name(tenant.name), addr_spec=sender)
        message["To"] = Address(addr_spec=recipient)
        message["Subject"] = subject
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = f"<{uuid4()}@{self._host}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
        # Quoted-printable, so that it passes every server, whatever it can do, and is the same behind it.
        message.set_content(_as_text(fill(body, values | {"link": draft.link})), cte="quoted-printable")
        page = self._html.render(
            language=wording.language,
            subject=subject,
            tenant=tenant.name,
            accent=tenant.branding.accent or _DEFAULT_ACCENT,
            button=" ".join(fill(wording.button, values).split()),
            link=draft.link,
            paragraphs=[_paragraph(part, values | {"link": draft.link}) for part in _parts(body)],
        )
        message.add_alternative(page, subtype="html", cte="quoted-printable")
        if wording.language is not None:  # last: what begins with Content- would have moved into the first part
            message["Content-Language"] = wording.language
        return Envelope(sender, recipient, message.as_bytes())


def _parts(body: str) -> list[str]:
    """A body's paragraphs: what stands between empty lines."""
    lines = (entry.strip() for entry in body.splitlines())
    return [part for part in "\n".join(lines).split("\n\n") if part.strip()]


def _paragraph(part: str, values: Mapping[str, str]) -> list[str] | None:
    """Its lines; None for the paragraph that is the link alone, and so becomes the button."""
    return None if part.strip() == LINK else fill(part.strip(), values).splitlines()


def _as_text(body: str) -> str:
    """Lines broken where they are too long to read, but never inside a word: a link stays whole."""
    lines = (
        textwrap.fill(entry.rstrip(), _WIDTH, break_long_words=False, break_on_hyphens=False)
        for entry in body.splitlines()
    )
    return "\n".join(lines) + "\n"

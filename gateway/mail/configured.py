"""From the configuration to the job: which way letters go, and in whose name."""

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.mail.folder import FolderSender
from gateway.mail.mailer import Mailer, nowhere
from gateway.mail.sender import Sender
from gateway.mail.smtp import Server, SmtpSender
from gateway.mail.writer import Writer
from gateway.settings import HostPort, Settings
from tenants.database import Database
from tenants.store import Store

_TO_A_FOLDER = timedelta(seconds=30)


def configured_mailer(
    settings: Settings,
    database: Database,
    store: Store,
    clock: Callable[[], datetime],
    *,
    place_of: Callable[[str], str] = nowhere,
) -> Mailer | None:
    """The mailer that the settings ask for; None where there is no mail: letters wait until they are pruned."""
    found = _sender(settings, clock)
    if found is None:
        return None
    sender, longest = found
    writer = Writer(sender=settings.mail.sender, public_url=settings.public_url, clock=clock)
    return Mailer(database, store, writer=writer, sender=sender, longest=longest, clock=clock, place_of=place_of)


def server_of(settings: Settings) -> Server | None:
    """The mail server that is configured, if one is."""
    mail, password = settings.mail, settings.mail_password
    if mail.smtp_host is None:
        return None
    return Server(
        host=mail.smtp_host.strip("[]"),
        port=mail.smtp_port,
        security=mail.security,
        hello=_hello(HostPort.parse(urlsplit(settings.public_url).netloc)),
        timeout=mail.timeout,
        username=mail.username,
        password=None if password is None else password.get_secret_value(),
    )


def _sender(settings: Settings, clock: Callable[[], datetime]) -> tuple[Sender, timedelta] | None:
    """The way out, and how long one letter may take on it."""
    server = server_of(settings)
    if server is not None:
        return SmtpSender(server), server.longest
    if settings.mail.directory is not None:
        return FolderSender(settings.mail.directory, clock=clock), _TO_A_FOLDER
    return None


def _hello(public: HostPort) -> str:
    """The name for EHLO: the host of ``public_url``, an address as a literal (RFC 5321 section 4.1.3)."""
    try:
        address = ip_address(public.address)
    except ValueError:
        return public.host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"

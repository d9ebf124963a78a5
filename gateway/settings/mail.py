"""What the configuration says of mail and of calls to the outside."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from gateway.settings.addresses import host_name
from gateway.settings.section import Section
from gateway.settings.units import Duration, Flag, WholeNumber, between, file_path, within
from gateway.settings.web_address import WebAddress
from tenants.errors import InvalidValue
from tenants.user_names import address_key

# A name has no sign that means something beside an address (RFC 5322 section 3.2.3), but the dot.
_SENDER = re.compile(r"[^()<>\[\]:;@\\,\"\x00-\x1f\x7f]{1,100} <(?P<named>[^<>]+)>|(?P<bare>[^<>]+)")


def _username(value: object) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise ValueError("must be text, and not empty")


def _optional(read: Callable[[object], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else read(value))


def _host(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a host name or an address")
    return host_name(value)


def _sender(value: object) -> str:
    """An address that a letter can be from, by the rule of those that it can go to."""
    wanted = "must be an email address, as in auth@example.com or Example <auth@example.com>"
    found = _SENDER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(wanted)
    try:
        address_key(found["named"] or found["bare"])
    except InvalidValue as error:
        raise ValueError(wanted) from error
    return found[0]


def lookup_url(value: str) -> str:
    """An address that five hex digits are appended to, as in ``https://pwned.example.com/range/``."""
    if WebAddress.parse(value).target.endswith("/") and "?" not in value:
        return value
    raise ValueError("must be an http or https address that ends with a slash: five hex digits are appended to it")


LookupUrl = Annotated[str, AfterValidator(lookup_url)]


class Mail(Section):
    """Where letters go: to an SMTP server, or as files into a folder (for development). Neither: there is no mail.

    The password is ``mail_password``, a setting of its own, so that it can come from a file. ``timeout`` is for each of
    the server's answers.
    """

    smtp_host: Annotated[str | None, _optional(_host)] = None
    smtp_port: Annotated[WholeNumber, between(1, 65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str | None, _optional(_username)] = None
    sender: Annotated[str, BeforeValidator(_sender)] = "Yett <yett@localhost>"
    timeout: Annotated[Duration, within("1s", "2m")] = timedelta(seconds=15)
    directory: Annotated[Path | None, _optional(file_path)] = None
    unsafe_plain_smtp: Flag = False

    @property
    def configured(self) -> bool:
        return self.smtp_host is not None or self.directory is not None

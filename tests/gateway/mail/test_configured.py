"""From settings to letters: over SMTP as configured, into a folder, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from gateway.mail import configured_mailer
from gateway.mail.mailer import Mailer
from gateway.settings import ConfigError, Settings, from_mapping
from tenants.database import Database
from tenants.store import Store
from tenants.tenant import Tenant
from tenants.users import User
from tests.conftest import Clock
from tests.gateway.mail.certificate import SelfMade
from tests.gateway.mail.conftest import ALICE, ISSUER, put
from tests.gateway.mail.post_office import Received, post_office


def settings(**values: Any) -> Settings:
    return from_mapping({"public_url": "https://auth.example.com", **values}, source="test")


async def test_letters_go_over_smtp_as_configured(
    database: Database,
    store: Store,
    clock: Clock,
    acme: Tenant,
    alice: User,
    self_made: SelfMade,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_made.certificate))
    async with post_office(starttls=self_made.server(), accounts={"yett": "secret"}) as office:
        mail = {"smtp_host": "localhost", "smtp_port": office.port, "username": "yett", "sender": "auth@example.com"}
        mailer = configured_mailer(settings(mail=mail, mail_password="secret"), database, store, clock)
        assert mailer is not None
        await put(store, acme, "reset", identifier="alice")
        assert await mailer.deliver() == 1

    (letter,) = office.letters
    assert (letter.encrypted, letter.user) == (True, "yett")
    assert letter.message["From"] == "Acme <auth@example.com>"
    assert office.hello == "auth.example.com"


async def test_letters_go_into_a_folder(
    database: Database, store: Store, clock: Clock, acme: Tenant, alice: User, tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    mailer = configured_mailer(settings(mail={"directory": str(folder)}), database, store, clock)
    assert mailer is not None
    await put(store, acme, "reset", identifier="alice")

    assert await mailer.deliver() == 1

    (file,) = folder.iterdir()
    letter = Received("", "", file.read_bytes(), False, None)
    assert letter.message["To"] == ALICE
    assert f"{ISSUER}/reset?token=ypr_" in letter.text


async def test_without_mail_there_is_no_mailer(database: Database, store: Store, clock: Clock) -> None:
    assert configured_mailer(settings(), database, store, clock) is None


@pytest.mark.parametrize(
    ("public_url", "hello"),
    [
        ("https://auth.example.com:8443", "auth.example.com"),
        ("http://127.0.0.1:8080", "[127.0.0.1]"),
        ("http://[::1]:8080", "[IPv6:::1]"),
    ],
)
async def test_we_say_hello_as_the_public_url(
    database: Database, store: Store, clock: Clock, acme: Tenant, alice: User, public_url: str, hello: str
) -> None:
    async with post_office() as office:
        mail = {"smtp_host": "127.0.0.1", "smtp_port": office.port, "security": "none"}
        mailer: Mailer | None = configured_mailer(settings(public_url=public_url, mail=mail), database, store, clock)
        assert mailer is not None
        await put(store, acme, "reset", identifier="alice")
        assert await mailer.deliver() == 1
    assert office.hello == hello


@pytest.mark.parametrize(
    "mail",
    [
        {"smtp_host": "smtp.example.com", "sender": "auth@example.com"},
        {"smtp_host": "smtp.example.com", "sender": "auth@example.com", "security": "tls", "smtp_port": 465},
        {"smtp_host": "relay", "sender": "auth@example.com", "security": "none", "unsafe_plain_smtp": True},
        {"smtp_host": "localhost", "security": "none"},
        {"smtp_host": "[::1]", "security": "none"},
        {"directory": "letters", "sender": "Example <auth@example.com>"},
        {"directory": "letters", "sender": "Häuser & Co. <auth@xn--huser-gra.example>"},
        {},
    ],
)
def test_what_a_configuration_may_say(mail: dict[str, Any]) -> None:
    assert settings(mail=mail).mail.configured == bool(mail)


@pytest.mark.parametrize(
    "sender",
    [
        ".a@example.com",
        "a..b@example.com",
        "a.@example.com",
        "a@example..com",
        "a@-example.com",
        "a@example.com.",
        "a@192.0.2.1",
        "a@example.com>",
        "<a@example.com>",
        "Yett (auth) <a@example.com>",
        "Yett <a@example.com> <b@example.com>",
        "Yett: <a@example.com>",
        "a b@example.com",
        "a@example.com\n",
    ],
)
def test_no_sender_is_configured_that_no_letter_can_be_from(sender: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.sender: must be an email address"):
        settings(mail={"directory": "letters", "sender": sender})

"""Letters as they travel: two bodies, headers that nobody can write into, links as they were handed in."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest

from gateway.mail.address import Unwritable
from gateway.mail.writer import Draft, Writer
from tenants.branding import Branding
from tenants.people import PeoplePolicy
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.gateway.mail.conftest import ALICE, ISSUER, SENDER
from tests.gateway.mail.post_office import Received

LINK = f"{ISSUER}/reset?token=ypr_{'x' * 43}"
VALUES = {"user": "alice", "email": ALICE, "expires": "30 minutes"}
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
}
HOSTILE_NAMES = [
    'Evil" <x@evil.test>, "y',
    "a, b; c: d @ e <f@evil.test>",
    "x <a@evil.test>, " * 11,
    "ü <a@evil.test>, " * 11,
    "=?utf-8?q?x=0d=0aBcc:_a@evil.test?=",
    "(comment) undisclosed:;",
    "a" * 200,
    "ü" * 200,
    "漢字" * 100,
    "a" * 70 + '"' + "b" * 100,
    '<script>alert("1")</script>',
    "{{7*7}} {user} {% x %} ${y}",
    '"><',
    "\\",
]


def a_tenant(clock: Clock, **changes: Any) -> Tenant:
    return replace(Tenant(uuid4(), "acme", "Acme", ISSUER, True, "ES256", None, clock()), **changes)


def write(writer: Writer, tenant: Tenant, *, to: str = ALICE, **values: str) -> Received:
    envelope = writer.write(Draft("reset", tenant, to, {**VALUES, **values}, LINK))
    return Received(envelope.sender, envelope.recipient, envelope.content, True, None)


class _Tags(HTMLParser):
    """Which elements there are, and what they point at."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src", "background", "action")}


def test_a_letter_is_text_and_html_with_its_headers(writer: Writer, clock: Clock) -> None:
    letter = write(writer, a_tenant(clock))
    message = letter.message

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert set(message.keys()) == HEADERS
    assert (message["From"], message["To"]) == ("Acme <yett@example.com>", ALICE)
    assert message["Subject"] == "Choose a new password for Acme"
    assert message["Date"].datetime == clock()
    assert re.fullmatch(r"<[0-9a-f-]{36}@auth\.example\.com>", message["Message-ID"])
    assert (message["Auto-Submitted"], message["Content-Language"]) == ("auto-generated", "en")
    assert not message.defects


def test_the_link_stands_whole_in_both_bodies(writer: Writer, clock: Clock) -> None:
    letter = write(writer, a_tenant(clock))

    assert letter.text.splitlines().count(LINK) == 1
    assert _Tags(letter.html).links == {LINK}
    assert "Hello alice," in letter.text
    assert "within 30 minutes" in " ".join(letter.text.split())


def test_a_message_id_is_of_the_public_urls_host_without_its_port(clock: Clock) -> None:
    for public_url, host in (("http://localhost:8080", "localhost"), ("http://[::1]:8080", "[::1]")):
        letter = write(Writer(sender=SENDER, public_url=public_url, clock=clock), a_tenant(clock))
        assert letter.message["Message-ID"].endswith(f"@{host}>")


def test_each_letter_has_a_message_id_of_its_own(writer: Writer, clock: Clock) -> None:
    """A mailbox that drops a repeated one would drop the letter whose link works."""
    letters = [write(writer, a_tenant(clock)) for _ in range(2)]
    assert letters[0].message["Message-ID"] != letters[1].message["Message-ID"]


def test_content_is_ascii_in_lines_that_every_server_takes(writer: Writer, clock: Clock) -> None:
    tenant = a_tenant(clock, name="Äcme " + "漢字" * 40, people=PeoplePolicy(mail_texts=(("reset", "ü" * 2000),)))
    letter = write(writer, tenant, user="ö" * 254)

    assert letter.content.isascii()
    assert max(map(len, letter.content.split(b"\r\n"))) <= 998
    assert b"\n" not in letter.content.replace(b"\r\n", b"")
    assert "ü" * 2000 in letter.text


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_of_a_tenant_makes_a_second_sender_a_header_or_an_element(
    writer: Writer, clock: Clock, name: str
) -> None:
    letter = write(writer, a_tenant(clock, name=name[:200]))
    plain = write(writer, a_tenant(clock))
    message = letter.message

    assert set(message.keys()) == HEADERS
    assert [address.addr_spec for address in message["From"].addresses] == ["yett@example.com"]
    assert [address.addr_spec for address in message["To"].addresses] == [ALICE]
    assert _Tags(letter.html).tags == _Tags(plain.html).tags
    assert _Tags(letter.html).attributes == _Tags(plain.html).attributes
    assert _Tags(letter.html).links == {LINK}
    assert "49" not in letter.html.replace(name, "")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_of_a_user_is_more_than_text(writer: Writer, clock: Clock, name: str) -> None:
    letter = write(writer, a_tenant(clock), user=name)

    assert set(letter.message.keys()) == HEADERS
    assert _Tags(letter.html).tags == _Tags(write(writer, a_tenant(clock)).html).tags
    assert " ".join(name.split()) in " ".join(letter.text.split())


def test_an_ordinary_name_is_shown_as_it_is(writer: Writer, clock: Clock) -> None:
    for name in ("Müller & Söhne", "Acme Inc.", "O'Neil", "株式会社アクメ"):
        letter = write(writer, a_tenant(clock, name=name))
        assert letter.message["From"].addresses[0].display_name == name
        assert letter.message["Subject"] == f"Choose a new password for {name}"


@pytest.mark.parametrize("character", ["\r", "\n", "\r\nBcc: x@evil.test", "\0", "\x1b[2J", "\u2028", "\u202e"])
def test_a_value_with_a_control_character_is_refused(writer: Writer, clock: Clock, character: str) -> None:
    with pytest.raises(Unwritable):
        write(writer, a_tenant(clock), user=f"alice{character}")


@pytest.mark.parametrize(
    "to",
    [
        "",
        "alice",
        "@example.com",
        "alice@",
        "alice@example.com\r\nBcc: x@evil.test",
        "alice@example.com\n",
        "alice@example.com,bob@example.com",
        "alice@example.com bob@example.com",
        "Alice <alice@example.com>",
        '"a b"@example.com',
        '"a@evil.test> SIZE=1"@example.com',
        "alice@[127.0.0.1]",
        "alice@example.com>",
        "alice@example.com\0",
        "a" * 65 + "@example.com",
        "älice@example.com",
        "alice@exam\u202eple.com",
    ],
)
def test_what_is_no_address_gets_no_letter(writer: Writer, clock: Clock, to: str) -> None:
    with pytest.raises(Unwritable) as refused:
        write(writer, a_tenant(clock), to=to)
    assert to == "" or to not in str(refused.value)


@pytest.mark.parametrize("sender", ["no-reply@acme.test", None])
def test_a_tenants_own_address_is_the_sender_and_else_the_installations(
    writer: Writer, clock: Clock, sender: str | None
) -> None:
    letter = write(writer, a_tenant(clock, people=PeoplePolicy(mail_sender=sender)))

    expected = sender or "yett@example.com"
    assert letter.message["From"] == f"Acme <{expected}>"
    assert letter.sender == expected


def with_texts(clock: Clock, **texts: str) -> Tenant:
    named = tuple((name.replace("__", "."), text) for name, text in texts.items())
    return a_tenant(clock, people=PeoplePolicy(mail_texts=named))


def test_a_tenants_own_text_is_the_letter(writer: Writer, clock: Clock) -> None:
    body = "Hallo {user},\nzweite Zeile\n\nhier {user}\n\n{link}\n\n{unknown} <b>{tenant}</b>"
    tenant = with_texts(clock, reset=body, reset__subject="Passwort\r\nBcc: x@evil.test\x07 {link} für {tenant}")
    letter = write(writer, tenant)

    assert letter.text == body.format(user="alice", link=LINK, tenant="Acme", unknown="{unknown}") + "\n"
    assert letter.message["Subject"] == "Passwort Bcc: x@evil.test {link} für Acme", "no secret in a subject"
    assert "Hallo alice,<br>zweite Zeile" in letter.html
    assert "{unknown} &lt;b&gt;Acme&lt;/b&gt;" in letter.html
    assert _Tags(letter.html).links == {LINK}
    assert letter.message["Content-Language"] is None
    assert "lang=" not in letter.html


def test_a_text_that_forgets_the_link_has_it_all_the_same(writer: Writer, clock: Clock) -> None:
    letter = write(writer, with_texts(clock, reset="Hallo."))

    assert letter.text == f"Hallo.\n\n{LINK}\n"
    assert _Tags(letter.html).links == {LINK}


def test_html_loads_nothing_from_anywhere(writer: Writer, clock: Clock) -> None:
    page = write(writer, a_tenant(clock)).html

    assert not _Tags(page).tags & {"img", "script", "link", "style", "iframe", "object", "form", "svg", "video"}
    assert not re.search(r"url\(|@import|https?://(?!auth\.example\.com/t/acme/reset)", page)


def test_the_tenants_accent_is_its_colour(writer: Writer, clock: Clock) -> None:
    assert "#c02040" in write(writer, a_tenant(clock, branding=Branding(accent="#c02040"))).html
    assert "#c02040" not in write(writer, a_tenant(clock)).html


def test_every_letter_can_be_written(writer: Writer, clock: Clock) -> None:
    values = dict.fromkeys(("user", "email", "expires", "time", "address", "user_agent", "invited_by"), "value")
    for text in ("sign_up", "sign_up_known", "verify", "invite", "new_device", "email_changed"):
        envelope = writer.write(Draft(text, a_tenant(clock), ALICE, values, LINK))
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert "{" not in str(letter["Subject"])


def test_a_draft_and_its_envelope_keep_what_they_hold_to_themselves(writer: Writer, clock: Clock) -> None:
    draft = Draft("reset", a_tenant(clock), ALICE, VALUES, LINK)
    shown = repr(draft) + repr(writer.write(draft))
    assert not any(secret in shown for secret in (ALICE, LINK, "ypr_", "30 minutes"))

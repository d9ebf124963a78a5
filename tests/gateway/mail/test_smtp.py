"""SMTP to a real server: encrypted where it is to be, with verified certificates, and answers that are understood."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from gateway.mail.sender import Envelope, NotSent, PutOff, Refused, ServerAway
from gateway.mail.smtp import SmtpSender
from tests.gateway.mail.certificate import SelfMade
from tests.gateway.mail.conftest import ALICE, server_at
from tests.gateway.mail.post_office import PostOffice, post_office

CONTENT = b"Subject: x\r\n\r\n.\r\n..\r\nMAIL FROM:<x@evil.test>\r\n"
ENVELOPE = Envelope("yett@example.com", ALICE, CONTENT)


async def refused(sender: SmtpSender) -> NotSent:
    with pytest.raises(NotSent) as problem:
        await sender.send(ENVELOPE)
    return problem.value


async def test_a_letter_arrives_as_it_was_written(office: PostOffice) -> None:
    await SmtpSender(server_at(office)).send(ENVELOPE)

    (letter,) = office.letters
    assert (letter.sender, letter.recipient) == ("yett@example.com", ALICE)
    assert letter.content.replace(b"\r\n", b"\n") == CONTENT.replace(b"\r\n", b"\n")
    assert office.hello == "auth.example.com", "no name of this machine"


async def test_starttls_encrypts_and_only_then_logs_in(self_made: SelfMade) -> None:
    async with post_office(starttls=self_made.server(), accounts={"yett": "s3cret pässword"}) as office:
        server = server_at(office, host="localhost", security="starttls", username="yett", password="s3cret pässword")
        await SmtpSender(server, trust=self_made.trust()).send(ENVELOPE)

    (letter,) = office.letters
    assert letter.encrypted
    assert letter.user == "yett"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd knows STARTTLS only
async def test_tls_encrypts_from_the_start(self_made: SelfMade) -> None:
    async with post_office(tls=self_made.server(), accounts={"yett": "secret"}) as office:
        server = server_at(office, host="localhost", security="tls", username="yett", password="secret")
        await SmtpSender(server, trust=self_made.trust()).send(ENVELOPE)

    assert [letter.encrypted for letter in office.letters] == [True]


async def test_the_systems_roots_are_believed_and_the_environment_may_name_others(
    self_made: SelfMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(self_made.certificate))
    async with post_office(starttls=self_made.server()) as office:
        await SmtpSender(server_at(office, host="localhost", security="starttls")).send(ENVELOPE)
    assert len(office.letters) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["issuer", "host"])
async def test_a_certificate_that_is_not_the_servers_gets_no_letter(
    self_made: SelfMade, security: str, wrong: str
) -> None:
    certificate = self_made.server()
    async with post_office(**{security: certificate}) as office:  # type: ignore[arg-type]
        host = "127.0.0.1" if wrong == "host" else "localhost"
        trust = self_made.trust() if wrong == "host" else ssl.create_default_context()
        problem = await refused(SmtpSender(server_at(office, host=host, security=security), trust=trust))

    assert isinstance(problem, ServerAway)
    assert office.letters == []


async def test_a_server_without_starttls_gets_neither_letter_nor_password(office: PostOffice) -> None:
    server = server_at(office, security="starttls", username="yett", password="secret")

    assert isinstance(await refused(SmtpSender(server)), ServerAway)
    assert office.letters == []


async def test_a_wrong_password_is_the_servers_refusal_and_not_the_letters(self_made: SelfMade) -> None:
    async with post_office(starttls=self_made.server(), accounts={"yett": "secret"}) as office:
        server = server_at(office, host="localhost", security="starttls", username="yett", password="wrong-hunter2")
        with capture_logs() as logs:
            problem = await refused(SmtpSender(server, trust=self_made.trust()))

    assert isinstance(problem, ServerAway)
    assert (problem.reason, problem.status) == ("server_refuses", 535)
    assert logs
    assert "hunter2" not in str(logs) + repr(server)


async def test_nobody_at_the_port_is_a_server_that_is_away(office: PostOffice) -> None:
    await office.close()

    problem = await refused(SmtpSender(server_at(office)))

    assert isinstance(problem, ServerAway)
    assert problem.reason == "server_away"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ("450 4.2.0 busy", PutOff, "recipient_refused"),
        ("421 4.3.2 closing", PutOff, "recipient_refused"),
        ("550 5.1.1 no such user", Refused, "recipient_refused"),
    ],
)
async def test_a_refused_recipient_is_put_off_or_final_as_the_server_says(
    office: PostOffice, answer: str, kind: type[NotSent], reason: str
) -> None:
    office.to_recipients[ALICE] = answer

    problem = await refused(SmtpSender(server_at(office)))

    assert type(problem) is kind
    assert (problem.reason, problem.status) == (reason, int(answer[:3]))
    assert ALICE not in str(problem)


@pytest.mark.parametrize(("answer", "kind"), [("451 4.3.0 later", PutOff), ("554 5.7.1 spam", Refused)])
async def test_refused_content_is_put_off_or_final_as_the_server_says(
    office: PostOffice, answer: str, kind: type[NotSent]
) -> None:
    office.to_content = answer

    problem = await refused(SmtpSender(server_at(office)))

    assert type(problem) is kind
    assert problem.reason == "content_refused"


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.7.1 not your address"])
async def test_a_refused_sender_is_put_off_since_somebody_may_mend_it(office: PostOffice, answer: str) -> None:
    office.to_senders = answer

    problem = await refused(SmtpSender(server_at(office)))

    assert type(problem) is PutOff
    assert problem.reason == "sender_refused"


async def test_an_answer_that_does_not_come_is_given_up_in_time(office: PostOffice) -> None:
    office.holds.add(ALICE)

    problem = await asyncio.wait_for(refused(SmtpSender(server_at(office, timeout=timedelta(seconds=0.2)))), timeout=20)

    assert type(problem) is PutOff
    assert office.letters == []


@asynccontextmanager
async def raw_server(*, banner: bytes, drip: bytes = b"", hang_up: bool = False) -> AsyncIterator[int]:
    """A peer that says this and then, every 50 milliseconds, that."""
    ended = asyncio.Event()
    left: list[asyncio.Event] = []

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.Event()
        left.append(gone)
        writer.write(banner)
        while not (ended.is_set() or hang_up):
            writer.write(drip)
            await asyncio.sleep(0.05)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()
        await server.wait_closed()
        for gone in left:
            await gone.wait()


@pytest.mark.parametrize(
    ("banner", "drip", "hang_up"),
    [
        (b"554 5.3.2 not here\r\n", b"", False),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", False),
        (b"", b"", False),
        (b"", b"", True),
        (b"220 hello\r\n", b"", True),
        (b"220-", b"220-more\r\n", False),
        (b"220 hello\r\n", b"250-more\r\n", False),
        (b"\xff\xfe\x00\r\n", b"", False),
    ],
)
async def test_whatever_a_server_says_the_letter_is_not_lost_and_the_wait_is_bounded(
    banner: bytes, drip: bytes, hang_up: bool
) -> None:
    async with raw_server(banner=banner, drip=drip, hang_up=hang_up) as port:
        server = server_at(PostOffice(port=port), timeout=timedelta(seconds=0.3))
        problem = await asyncio.wait_for(refused(SmtpSender(server)), timeout=20)

    assert isinstance(problem, ServerAway | PutOff)


async def test_a_server_that_does_not_say_goodbye_has_the_letter_all_the_same(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be sent again."""

    async def silent(*_: object) -> str:
        return "451 4.3.0 no"

    monkeypatch.setattr(office, "handle_QUIT", silent, raising=False)

    await SmtpSender(server_at(office)).send(ENVELOPE)

    assert len(office.letters) == 1

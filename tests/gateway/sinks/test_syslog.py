"""The sink ``syslog``: RFC 5424 over TLS, read by rsyslog; and what counts as taken where nothing is acknowledged."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.record import Receipt, Record
from gateway.sinks.syslog import format_message
from tests.conftest import Clock
from tests.gateway.server.pki import Authority
from tests.gateway.sinks.receiving import checkpoint, record
from tests.gateway.sinks.syslog_server import documented_rsyslog, rsyslog


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


async def sent(authority: Authority, port: int, *records: Record, host: str = "localhost", **options: Any) -> Receipt:
    sink = {"name": "siem", "kind": "syslog", "address": f"{host}:{port}", "timeout": "5s", "ca_file": authority.file}
    values = {"public_url": "https://auth.example.com", "sinks": [{**sink, **options}]}
    ((_, transmitter),) = transmitters(from_mapping(values, source="test"), Clock())
    return await transmitter.send(records)


def test_a_message_is_rfc_5424_and_what_people_typed_is_escaped() -> None:
    one = record(user_name='a"]\\\n\ud800é', reason="wrong_password", request_id="r1")
    message = format_message(one, hostname="auth.example.com", facility=13).decode()
    head, _, text = message.partition("] {")
    assert head == (
        "<108>1 2026-11-25T12:00:00.000000Z auth.example.com yett - login.refused "
        f'[yett@32473 tenant="acme" position="0" id="{one.id}" outcome="refused" reason="wrong_password" '
        'user_name="a\\"\\]\\\\\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}é" request_id="r1"'
    )
    assert json.loads("{" + text) == json.loads(one.body)
    assert text.isascii()


def test_a_checkpoint_is_a_message_of_its_own_type() -> None:
    one = checkpoint()
    head, _, text = format_message(one, hostname="auth.example.com", facility=13).decode().partition("] {")
    assert head == (
        "<109>1 2026-11-25T12:00:00.000000Z auth.example.com yett - audit.checkpoint "
        f'[yett@32473 tenant="acme" id="{one.id}"'
    )
    assert json.loads("{" + text)["note"] == one.event["note"]


@pytest.mark.parametrize(("outcome", "severity"), [("success", 6), ("refused", 4), ("notice", 5)])
def test_the_outcome_is_the_severity(outcome: str, severity: int) -> None:
    message = format_message(record(outcome=outcome), hostname="h", facility=10)
    assert message.startswith(b"<%d>1 " % (10 * 8 + severity))


def test_a_message_id_has_at_most_32_signs() -> None:
    message = format_message(record("client.registration_token_created"), hostname="", facility=13)
    assert message.split(b" ")[2] == b"-"
    assert message.split(b" ")[5] == b"client.registration_token_create"


async def test_rsyslog_reads_them_in_order(authority: Authority, tmp_path: Path) -> None:
    records = [record(position=place, user_name='é"]\n' + "x" * 400) for place in range(100)]
    with rsyslog(tmp_path, authority) as server:
        receipt = await sent(authority, server.port, *records)
        assert (len(receipt.taken), receipt.problem) == (100, None)
        assert (await sent(authority, server.port, record(position=100))).problem is None
        messages = await asyncio.to_thread(server.has, 101)
    assert [json.loads(message["msg"])["position"] for message in messages] == list(range(101))
    first = messages[0]
    assert (first["pri"], first["hostname"], first["app"], first["msgid"]) == (
        "108",
        "auth.example.com",
        "yett",
        "login.refused",
    )
    assert first["sd"].startswith(f'[yett@32473 tenant="acme" position="0" id="{records[0].id}" ')
    assert json.loads(first["msg"]) == json.loads(records[0].body)


async def test_rsyslog_that_wants_a_certificate_is_shown_one(authority: Authority, tmp_path: Path) -> None:
    mine = authority.issue("client", "gateway.example.com")
    with documented_rsyslog(tmp_path, authority) as server:
        assert (await sent(authority, server.port, record(), timeout="1s")).problem is not None
        receipt = await sent(
            authority, server.port, record(position=1), certificate_file=mine.certificate, key_file=mine.key
        )
        assert receipt.problem is None
        (message,) = await asyncio.to_thread(server.has, 1)
    assert message["position"] == 1


Behaviour = Callable[[ssl.SSLSocket], object]


@contextmanager
def receiver(authority: Authority, does: Behaviour, name: str = "localhost") -> Iterator[int]:
    """One connection, handled by a thread."""
    pair = authority.issue("receiver", name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as peer:
                does(peer)
        except OSError:
            pass  # the client has left, which some of these are about

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(20)


def read_all(peer: ssl.SSLSocket) -> bytes:
    read = b""
    while chunk := peer.recv(65536):
        read += chunk
    return read


async def test_each_message_has_its_length_before_it(authority: Authority) -> None:
    read: list[bytes] = []

    def polite(peer: ssl.SSLSocket) -> None:
        read.append(read_all(peer))
        peer.unwrap()

    one, two = record(), record(position=1)
    with receiver(authority, polite) as port:
        assert (await sent(authority, port, one, two)).taken == {0, 1}
    messages = [format_message(each, hostname="auth.example.com", facility=13) for each in (one, two)]
    assert read == [b"".join(b"%d %b" % (len(message), message) for message in messages)]


async def test_one_that_leaves_without_a_word_behind_our_end_has_read_all(authority: Authority) -> None:
    with receiver(authority, read_all) as port:
        assert (await sent(authority, port, record())).problem is None


def leaves_at_once(peer: ssl.SSLSocket) -> None:
    peer.close()


def ends_at_once(peer: ssl.SSLSocket) -> None:
    peer.unwrap()


@pytest.mark.parametrize("does", [leaves_at_once, ends_at_once])
async def test_one_that_leaves_before_our_end_has_taken_nothing(authority: Authority, does: Behaviour) -> None:
    many = [record(position=place, path="x" * 500) for place in range(200)]
    with receiver(authority, does) as port:
        receipt = await sent(authority, port, *many)
    assert (receipt.taken, receipt.problem) == (frozenset(), "connection_lost")


async def test_one_that_reads_nothing_is_given_up(authority: Authority) -> None:
    over = threading.Event()
    with receiver(authority, lambda _: over.wait(20)) as port:
        receipt = await sent(authority, port, record(), timeout="1s")
        over.set()
    assert (receipt.taken, receipt.problem) == (frozenset(), "timed_out")


async def test_a_certificate_of_another_name_gets_nothing(authority: Authority) -> None:
    with receiver(authority, read_all, name="elsewhere.example") as port:
        assert (await sent(authority, port, record())).problem == "certificate_not_trusted"


async def test_one_without_tls_gets_nothing() -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.write(b"220 hello\r\n"), "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        values = {
            "public_url": "https://auth.example.com",
            "sinks": [{"name": "s", "kind": "syslog", "address": f"127.0.0.1:{port}"}],
        }
        ((_, transmitter),) = transmitters(from_mapping(values, source="test"), Clock())
        assert (await transmitter.send([record()])).problem == "tls_failed"

"""Targets with https://: always verified, known by certificate where they ask; and what is cut off is no end."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.proxy.plane import AnswerBroken
from gateway.proxy.upstream import Health, Upstream
from gateway.settings.upstream import Tls, TlsProblem, tls_context
from tests.frames_by_hand import TEXT, closing, handshake, written
from tests.gateway.mail.certificate import SelfMade, make
from tests.gateway.proxy.harness import (
    HOST,
    Peer,
    Script,
    ScriptedUpstream,
    World,
    eventually,
    polite,
    request,
    tasks_of_the_proxy,
)
from tests.gateway.proxy.sockets import SOCKETS, Answering, Socket, config, echoes, requests_running, speaks
from tests.gateway.proxy.test_upstream_faults import problem_of


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> SelfMade:
    return make(tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> SelfMade:
    return make(tmp_path_factory.mktemp("ours"))


async def local(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def tls_world(
    script: Script, server: ssl.SSLContext, tls: Tls, **options: Any
) -> AsyncIterator[tuple[World, ScriptedUpstream]]:
    async with ScriptedUpstream(script).running(tls=server) as upstream:
        options.setdefault("targets", (f"https://localhost:{upstream.port}",))
        options.setdefault("connect_timeout", timedelta(seconds=5))
        made = World(tls=tls_context(tls), resolve=local, **options)
        try:
            yield made, upstream
            assert not tasks_of_the_proxy()
            assert made.pool.in_flight == 0
        finally:
            made.pool.close()


async def test_a_trusted_target_answers_and_its_connection_is_kept(theirs: SelfMade) -> None:
    asked: list[str | None] = []
    server = theirs.server()
    server.sni_callback = lambda _, name, __: asked.append(name)
    server.set_alpn_protocols(["h2", "http/1.1"])
    async with tls_world(polite, server, Tls(ca_file=theirs.certificate)) as (made, upstream):
        for _ in range(3):
            assert (await made.ask(request())).body == b"ok"
        posted = await made.ask(request("POST", "/orders", ("content-length", "300000")).say(bytes(300_000)))
        assert posted.status == 200
        assert len(upstream.peers) == 1
        assert asked == ["localhost"]
        agreed = upstream.peers[0].writer.get_extra_info("ssl_object")
        assert agreed.version() in ("TLSv1.2", "TLSv1.3")
        assert agreed.selected_alpn_protocol() == "http/1.1"


async def test_a_large_answer_comes_whole(theirs: SelfMade) -> None:
    async def large(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
        await peer.until_gone()

    async with tls_world(large, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, _):
        assert len((await made.ask(request())).body) == 3_000_000


async def test_who_is_not_trusted_gets_no_request(theirs: SelfMade, ours: SelfMade) -> None:
    for tls in (Tls(), Tls(ca_file=ours.certificate)):
        async with tls_world(polite, theirs.server(), tls) as (made, upstream):
            assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
            assert not upstream.heads


async def test_the_subject_of_a_certificate_is_no_name(tmp_path: Path) -> None:
    named = make(tmp_path, by_subject=True)
    async with tls_world(polite, named.server(), Tls(ca_file=named.certificate)) as (made, upstream):
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert not upstream.heads


async def test_a_certificate_for_another_name_is_refused_and_server_name_says_which(theirs: SelfMade) -> None:
    trust = Tls(ca_file=theirs.certificate)
    for url, server_name, expected in (
        ("https://orders.internal:{}", None, 502),
        ("https://127.0.0.1:{}", None, 502),
        ("https://localhost:{}", "orders.internal", 502),
        ("https://orders.internal:{}", "localhost", 200),
        ("https://127.0.0.1:{}", "localhost", 200),
    ):
        async with ScriptedUpstream(polite).running(tls=theirs.server()) as upstream:
            made = World(
                targets=(url.format(upstream.port),), resolve=local, tls=tls_context(trust), server_name=server_name
            )
            assert (await made.ask(request())).status == expected, (url, server_name)
            made.pool.close()


async def test_a_target_that_asks_who_we_are_is_told(theirs: SelfMade, ours: SelfMade) -> None:
    server = theirs.server()
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(ours.certificate)
    known = Tls(ca_file=theirs.certificate, certificate_file=ours.certificate, key_file=ours.key)
    async with tls_world(polite, server, known) as (made, upstream):
        assert (await made.ask(request())).status == 200
        assert upstream.peers[0].writer.get_extra_info("peercert")
    async with tls_world(polite, server, Tls(ca_file=theirs.certificate)) as (made, upstream):
        assert (await made.ask(request())).status == 502
        assert not upstream.heads


async def test_a_target_without_tls_gets_no_request(theirs: SelfMade) -> None:
    async with ScriptedUpstream(polite).running() as upstream:
        made = World(
            targets=(f"https://localhost:{upstream.port}",), resolve=local, tls=tls_context(Tls()), connect_timeout=WAIT
        )
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert not upstream.heads


WAIT = timedelta(milliseconds=200)


async def test_a_target_that_does_not_shake_hands_is_502(theirs: SelfMade) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    async with ScriptedUpstream(silent).running() as upstream:
        made = World(
            targets=(f"https://localhost:{upstream.port}",), resolve=local, tls=tls_context(Tls()), connect_timeout=WAIT
        )
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert made.pool.in_flight == 0
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))


async def test_a_body_that_is_cut_off_is_no_end(theirs: SelfMade) -> None:
    """A body that ends with its connection ends where TLS says so; whoever cuts the wire must not shorten it."""

    async def cut(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await eventually(lambda: client.body)
        if not honest:
            peer.writer.transport.abort()

    for honest in (True, False):
        client = request()
        async with tls_world(cut, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, _):
            if honest:
                assert (await made.ask(client)).complete
            else:
                with pytest.raises(AnswerBroken):
                    await made.ask(client)
            assert client.body == b"hello"


async def test_a_reset_in_each_phase_is_what_it_is_without_tls(theirs: SelfMade) -> None:
    async def at_once(peer: Peer) -> None:
        await peer.request()
        peer.writer.transport.abort()

    async with tls_world(at_once, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, upstream):
        assert problem_of(await made.ask(request())) == (502, "upstream_malformed")
        assert len(upstream.peers) == 1


async def test_the_health_check_speaks_tls_too(theirs: SelfMade, ours: SelfMade) -> None:
    for trusted, down in ((theirs, False), (ours, True)):
        health = Health("/")
        async with tls_world(polite, theirs.server(), Tls(ca_file=trusted.certificate), health=health) as (made, _):
            await made.pool.look_up()
            await made.pool.check_health()
            assert made.pool.endpoints.all[0].down is down


async def test_a_client_that_leaves_gives_the_connection_up(theirs: SelfMade) -> None:
    async def hangs(peer: Peer) -> None:
        await peer.request()
        await peer.until_gone()

    async with tls_world(hangs, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, upstream):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: upstream.heads)
        client.leave()
        made.later(1)
        await asked
        await eventually(upstream.peers[0].gone.is_set)
        assert len(made.pool) == 0


def test_a_context_verifies_and_speaks_nothing_old() -> None:
    context = tls_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_upstream_with_such_a_target_needs_a_context() -> None:
    with pytest.raises(ValueError, match="wants TLS"):
        Upstream("orders", ("https://orders",))


def test_a_key_of_another_certificate_is_found_when_the_configuration_is_read(
    theirs: SelfMade, ours: SelfMade, tmp_path: Path
) -> None:
    with pytest.raises(TlsProblem, match="the key that belongs to it"):
        tls_context(Tls(certificate_file=ours.certificate, key_file=theirs.key))


def test_a_key_with_a_pass_phrase_asks_nobody(ours: SelfMade, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(ours.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    secret = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    with pytest.raises(TlsProblem, match="without a pass phrase"):
        tls_context(Tls(certificate_file=ours.certificate, key_file=locked))


@pytest.mark.parametrize("ends", ["in order", "without a word"])
async def test_a_websocket_passes_and_ends_as_without_tls(theirs: SelfMade, ends: str) -> None:
    async def cut(side: Answering) -> None:
        await side.receives(1)
        side.peer.writer.transport.abort()

    script = speaks(echoes if ends == "in order" else cut)
    async with tls_world(script, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, _):
        made.plane.config = config(made, *SOCKETS)
        client = await Socket(made).open()
        await client.send(written(TEXT, b"x" * 200_000))
        if ends == "in order":
            assert (await client.receives(1))[0].payload == b"x" * 200_000
            await client.send(closing(1000))
            assert (await client.receives(2))[1].code == 1000
        else:
            assert (await client.receives(1))[0].code == 1011
            await client.send(closing(1011))
        await client.ended()
        await eventually(lambda: not requests_running())
        assert len(made.pool) == 0


async def test_a_handshake_that_is_refused_leaves_a_connection_for_others(theirs: SelfMade) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await polite(peer)

    async with tls_world(script, theirs.server(), Tls(ca_file=theirs.certificate)) as (made, upstream):
        made.plane.config = config(made, *SOCKETS)
        client = await Socket(made).ask(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
        assert client.status == 403
        client.leave()
        await eventually(lambda: not requests_running())
        assert (await made.ask(request())).status == 200
        assert len(upstream.peers) == 1

"""Where a client's keys come from: fetched only from where a call may go, remembered for a while, asked for seldom."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from gateway.oauth.client_jwks import ClientJwks
from gateway.outbound import Outbound
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.unverified_token import UnverifiedToken, parse_unverified
from tests.conftest import Clock
from tests.gateway.web_server import TRUSTS_NOBODY, Names, answer, serving
from tests.signer import Signer

TABLE = json.loads((Path(__file__).parents[2] / "vectors/called_addresses.json").read_text(encoding="utf-8"))["refused"]
LOOPBACK = (ip_network("127.0.0.0/8"),)
ACME, GLOBEX = UUID(int=1), UUID(int=2)
SIGNER = Signer()
CLAIMS = {"iss": "app"}


def a_client(client_id: str = "app", **options: Any) -> Client:
    return Client(
        client_id=client_id,
        name="App",
        confidential=True,
        grant_types=frozenset({"client_credentials"}),
        scopes=frozenset(),
        audiences=("https://api.example.com",),
        auth_method="private_key_jwt",
        options=ClientOptions(**options),
    )


def token(signer: Signer = SIGNER, **header: Any) -> UnverifiedToken:
    parsed = parse_unverified(signer.sign(CLAIMS, **header).encode())
    assert isinstance(parsed, UnverifiedToken)
    return parsed


@dataclass
class Publisher:
    """A client's web server, as it is seen through the guard: it counts how often it is asked."""

    says: list[bytes]
    asked: int = 0
    port: int = 0
    running: list[Any] = field(default_factory=list)

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(self.says.pop(0) if len(self.says) > 1 else self.says[0])
            await writer.drain()
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.running.append(listener)
        self.port = listener.sockets[0].getsockname()[1]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    def publish(self, *signers: Signer) -> None:
        self.says = [published(*signers)]


def published(*signers: Signer) -> bytes:
    return answer(json.dumps({"keys": [signer.jwk for signer in signers]}).encode())


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher([published(SIGNER)])
    await publisher.start()
    yield publisher
    publisher.running[0].close()


@pytest.fixture
def jwks(clock: Clock) -> ClientJwks:
    return ClientJwks(Outbound(LOOPBACK, timeout=timedelta(seconds=5), tls=TRUSTS_NOBODY), clock, most=3)


async def test_a_registered_set_is_used_as_it_is(jwks: ClientJwks) -> None:
    assert await jwks.verify(ACME, a_client(jwks=SIGNER.jwks), token()) == CLAIMS
    assert await jwks.verify(ACME, a_client(jwks=Signer(name="other").jwks), token()) is None


@pytest.mark.parametrize("options", [{}, {"jwks": {}}, {"jwks": {"keys": None}}, {"jwks": {"keys": []}}])
async def test_a_client_without_keys_signs_nothing(jwks: ClientJwks, options: dict[str, Any]) -> None:
    assert await jwks.verify(ACME, a_client(**options), token()) is None


async def test_a_published_set_is_fetched_and_believed_for_ten_minutes(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client = a_client(jwks_uri=publisher.uri)
    asked = []
    for minutes in (0, 5, 4.9, 0.1):
        clock.advance(minutes=minutes)
        assert await jwks.verify(ACME, client, token()) == CLAIMS
        asked.append(publisher.asked)
    assert asked == [1, 1, 1, 2]


async def test_a_key_that_was_withdrawn_counts_no_more_when_the_set_is_fetched_again(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client = a_client(jwks_uri=publisher.uri)
    assert await jwks.verify(ACME, client, token()) == CLAIMS
    publisher.publish(Signer(kid="k-2", name="new"))
    clock.advance(minutes=10)
    assert await jwks.verify(ACME, client, token()) is None


async def test_a_new_key_is_fetched_at_once_but_no_more_often_than_every_30_seconds(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client, new = a_client(jwks_uri=publisher.uri), Signer(kid="k-2", name="new")
    assert await jwks.verify(ACME, client, token()) == CLAIMS
    publisher.publish(SIGNER, new)
    outcomes = []
    for seconds in (0, 29, 1):
        clock.advance(seconds=seconds)
        outcomes.append((await jwks.verify(ACME, client, token(new)), publisher.asked))
    assert outcomes == [(None, 1), (None, 1), (CLAIMS, 2)]


@pytest.mark.parametrize("header", [{"kid": "invented"}, {"kid": None}])
async def test_whatever_key_a_stranger_names_the_address_is_asked_every_30_seconds_at_most(
    jwks: ClientJwks, publisher: Publisher, clock: Clock, header: dict[str, Any]
) -> None:
    client, stranger = a_client(jwks_uri=publisher.uri), Signer(name="stranger")
    for _ in range(60):
        assert await jwks.verify(ACME, client, token(stranger, **header)) is None
        clock.advance(seconds=1)
    assert publisher.asked == 2


async def test_a_wrong_signature_under_a_key_that_is_there_fetches_nothing(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client = a_client(jwks_uri=publisher.uri)
    for _ in range(3):
        assert await jwks.verify(ACME, client, token(Signer(name="stranger"))) is None
        clock.advance(minutes=1)
    assert publisher.asked == 1


async def test_many_at_once_ask_once(jwks: ClientJwks, publisher: Publisher) -> None:
    client = a_client(jwks_uri=publisher.uri)
    outcomes = await asyncio.gather(*(jwks.verify(ACME, client, token()) for _ in range(20)))
    assert outcomes == [CLAIMS] * 20
    assert publisher.asked == 1


async def test_an_address_that_fails_is_asked_again_after_30_seconds(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client = a_client(jwks_uri=publisher.uri)
    publisher.says = [answer(b"", status="503 Busy"), published(SIGNER)]
    outcomes = []
    for seconds in (0, 29, 1):
        clock.advance(seconds=seconds)
        outcomes.append((await jwks.verify(ACME, client, token()), publisher.asked))
    assert outcomes == [(None, 1), (None, 1), (CLAIMS, 2)]


async def test_a_failure_leaves_what_was_known_in_force_for_its_time_and_no_longer(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    client = a_client(jwks_uri=publisher.uri)
    assert await jwks.verify(ACME, client, token()) == CLAIMS
    publisher.says = [answer(b"", status="500 Broken")]
    clock.advance(minutes=1)
    assert await jwks.verify(ACME, client, token(kid="invented")) is None
    assert publisher.asked == 2
    assert await jwks.verify(ACME, client, token()) == CLAIMS
    clock.advance(minutes=9)
    assert await jwks.verify(ACME, client, token()) is None


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (answer(b"[]"), "answer_malformed"),
        (answer(b'{"keys": 1}'), "answer_malformed"),
        (answer(b"<html>"), "answer_malformed"),
        (answer(b"[" * 60_000), "answer_malformed"),
        (answer(b"", status="404 Not Found"), "status_404"),
        (answer(b"", status="302 Found", Location="http://127.0.0.1:1/jwks"), "status_302"),
        (answer(b"", status="204 No Content"), "status_204"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "answer_malformed"),
    ],
)
async def test_what_is_no_set_of_keys_signs_nothing_and_is_logged(
    jwks: ClientJwks, publisher: Publisher, says: bytes, reason: str
) -> None:
    publisher.says = [says]
    with capture_logs() as lines:
        assert await jwks.verify(ACME, a_client(jwks_uri=publisher.uri), token()) is None
    assert [(line["event"], line["client_id"], line["reason"]) for line in lines] == [
        ("client_jwks_failed", "app", reason)
    ]


async def test_an_answer_is_bounded_in_size(clock: Clock, publisher: Publisher) -> None:
    publisher.says = [answer(json.dumps({**SIGNER.jwks, "more": "x" * 1000}).encode())]
    narrow = Outbound(LOOPBACK, timeout=timedelta(seconds=5), max_bytes=1000, tls=TRUSTS_NOBODY)
    with capture_logs() as lines:
        assert await ClientJwks(narrow, clock).verify(ACME, a_client(jwks_uri=publisher.uri), token()) is None
    assert [line["reason"] for line in lines] == ["answer_too_large"]


async def test_an_answer_is_bounded_in_time(clock: Clock) -> None:
    hasty = Outbound(LOOPBACK, timeout=timedelta(seconds=0.2), tls=TRUSTS_NOBODY)
    async with serving(60.0) as silent:
        with capture_logs() as lines:
            client = a_client(jwks_uri=f"http://127.0.0.1:{silent.port}/jwks")
            assert await ClientJwks(hasty, clock).verify(ACME, client, token()) is None
    assert [line["reason"] for line in lines] == ["timed_out"]


async def test_each_tenants_client_is_asked_for_itself(jwks: ClientJwks, publisher: Publisher) -> None:
    """Otherwise a client of one tenant could bring the keys of another's to be forgotten, or to be fetched."""
    client = a_client(jwks_uri=publisher.uri)
    for asked, (tenant_id, known) in enumerate(
        [(ACME, client), (GLOBEX, client), (ACME, a_client("other", jwks_uri=publisher.uri))], 1
    ):
        assert await jwks.verify(tenant_id, known, token()) == CLAIMS
        assert publisher.asked == asked


async def test_a_client_that_registers_one_address_after_the_other_causes_no_more_calls_than_with_one(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    for number in range(60):
        await jwks.verify(ACME, a_client(jwks_uri=f"{publisher.uri}?{number}"), token())
        clock.advance(seconds=1)
    assert publisher.asked == 2


async def test_the_keys_of_an_address_that_was_replaced_count_no_more(
    jwks: ClientJwks, publisher: Publisher, clock: Clock
) -> None:
    new = Signer(kid="k-2", name="new")
    assert await jwks.verify(ACME, a_client(jwks_uri=publisher.uri), token()) == CLAIMS
    publisher.publish(new)
    replaced = a_client(jwks_uri=publisher.uri + "?2")
    assert await jwks.verify(ACME, replaced, token()) is None
    clock.advance(seconds=30)
    assert await jwks.verify(ACME, replaced, token()) is None
    assert await jwks.verify(ACME, replaced, token(new)) == CLAIMS


async def test_a_client_that_registered_itself_has_its_keys_fetched_from_no_private_network(
    jwks: ClientJwks, publisher: Publisher
) -> None:
    client = replace(a_client(jwks_uri=publisher.uri), registration_digest=b"d" * 32)
    with capture_logs() as lines:
        assert await jwks.verify(ACME, client, token()) is None
    assert [line["reason"] for line in lines] == ["address_not_public"]
    assert publisher.asked == 0


async def test_a_bounded_number_of_sets_is_remembered(jwks: ClientJwks, publisher: Publisher) -> None:
    for number in (0, 1, 2, 0, 3, 0, 1):  # three are: when the fourth comes, the second is the oldest
        await jwks.verify(ACME, a_client(f"app-{number}", jwks_uri=publisher.uri), token())
    assert publisher.asked == 5


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['kind']}: {row['url']} {row['addresses'] or ''}")
async def test_keys_are_fetched_from_no_address_that_is_not_public(row: dict[str, Any], clock: Clock) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [host] if row["addresses"] is None else row["addresses"]

    guarded = ClientJwks(Outbound((), resolve=resolve, tls=TRUSTS_NOBODY), clock)
    with capture_logs() as lines:
        assert await guarded.verify(ACME, a_client(jwks_uri=row["url"]), token()) is None
    assert [line["reason"] for line in lines] == [row["reason"]]


async def test_a_name_that_changes_its_address_is_judged_and_called_once(clock: Clock) -> None:
    """DNS rebinding: the address that was judged is the one that is called, whatever the name says next."""
    async with serving(published(SIGNER), address="127.0.0.1") as outside, serving(published(SIGNER)) as inside:
        names = Names({"rebind.example": [["127.0.0.1"], ["127.0.0.9"]]})
        guarded = Outbound((ip_network("127.0.0.1/32"),), resolve=names.resolve, tls=TRUSTS_NOBODY)
        client = a_client(jwks_uri=f"http://rebind.example:{outside.port}/jwks")
        assert await ClientJwks(guarded, clock).verify(ACME, client, token()) == CLAIMS
        with capture_logs() as lines:
            assert await ClientJwks(guarded, clock).verify(ACME, client, token()) is None
    assert (len(outside.requests), len(inside.requests), len(names.asked)) == (1, 0, 2)
    assert [line["reason"] for line in lines] == ["address_not_public"]


async def test_a_redirect_leads_nowhere(clock: Clock) -> None:
    async with serving(published(SIGNER)) as inside:
        moved = answer(b"", status="302 Found", Location=f"http://127.0.0.1:{inside.port}/jwks")
        async with serving(moved) as outside:
            guarded = Outbound(LOOPBACK, timeout=timedelta(seconds=5), tls=TRUSTS_NOBODY)
            client = a_client(jwks_uri=f"http://127.0.0.1:{outside.port}/jwks")
            assert await ClientJwks(guarded, clock).verify(ACME, client, token()) is None
    assert (len(outside.requests), len(inside.requests)) == (1, 0)

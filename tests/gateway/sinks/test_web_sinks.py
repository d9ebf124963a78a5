"""Sinks that are web servers: what they are sent, what counts as taken, and what a hostile one can do: nothing."""

import base64
import gzip
import hashlib
import hmac
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.record import Receipt, Record
from tests.conftest import Clock
from tests.gateway.server.pki import Authority
from tests.gateway.sinks.receiving import checkpoint, receiving, record
from tests.gateway.web_server import answer

KEY, OLD_KEY = b"k" * 32, b"o" * 24
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
OLD_SECRET = f"whsec_{base64.b64encode(OLD_KEY).decode()}"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n" + b"x" * (4 * 1024 * 1024)
OPTIONS: dict[str, dict[str, Any]] = {
    "webhook": {},
    "splunk_hec": {"index": "main"},
    "elasticsearch": {"index": "audit"},
}


async def sent(kind: str, port: int, *records: Record, secret: str = SECRET, **options: Any) -> Receipt:
    sink = {
        "name": "siem",
        "kind": kind,
        "url": f"http://127.0.0.1:{port}",
        "timeout": "5s",
        **OPTIONS[kind],
        **options,
    }
    values = {"public_url": "https://auth.example.com", "sinks": [sink], "sink_secrets": {"siem": secret}}
    ((_, transmitter),) = transmitters(from_mapping(values, source="test"), Clock())
    return await transmitter.send(records)


def items(*statuses: int, **more: Any) -> bytes:
    listed = [{"create": {"status": status, **(more if status >= 400 else {})}} for status in statuses]
    return answer(json.dumps({"errors": any(s >= 400 for s in statuses), "items": listed}).encode())


async def test_a_webhook_is_one_signed_post() -> None:
    one, two = record(), record(position=1)
    async with receiving(answer(b"", status="204 No Content")) as receiver:
        receipt = await sent("webhook", receiver.port, one, two, secret=f"{SECRET} {OLD_SECRET}")
        await sent("webhook", receiver.port, one, two)
        await sent("webhook", receiver.port, one)
    assert (receipt.taken, receipt.problem) == ({0, 1}, None)
    line, headers, body = receiver.requests[0]
    assert line == b"POST / HTTP/1.1"
    assert json.loads(body) == {
        "type": "yett.events",
        "timestamp": "2026-11-25T12:00:00.000000Z",
        "data": {"events": [json.loads(one.body), json.loads(two.body)]},
    }
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digests = [hmac.new(key, signed, hashlib.sha256).digest() for key in (KEY, OLD_KEY)]
    assert headers["webhook-signature"] == " ".join(f"v1,{base64.b64encode(each).decode()}" for each in digests)
    assert headers["webhook-timestamp"] == str(int(Clock()().timestamp()))
    again, fewer = receiver.requests[1][1]["webhook-id"], receiver.requests[2][1]["webhook-id"]
    assert headers["webhook-id"] == again != fewer


@pytest.mark.parametrize("zipped", [False, True])
async def test_splunk_is_sent_events_with_their_time_and_place(zipped: bool) -> None:
    one, two = record(), record(position=1)
    async with receiving(answer(b'{"text":"Success","code":0}')) as receiver:
        receipt = await sent("splunk_hec", receiver.port, one, two, secret="a-token", gzip=zipped)
    assert (receipt.taken, receipt.problem) == ({0, 1}, None)
    line, headers, body = receiver.requests[0]
    assert line == b"POST /services/collector/event HTTP/1.1"
    assert headers["authorization"] == "Splunk a-token"
    text = (gzip.decompress(body) if zipped else body).decode()
    first, end = json.JSONDecoder().raw_decode(text)
    assert first == {
        "time": "1795608000.000000",
        "host": "auth.example.com",
        "source": "yett",
        "sourcetype": "yett:audit",
        "index": "main",
        "event": json.loads(one.body),
        "fields": {"tenant": "acme", "event_id": one.id},
    }
    assert json.loads(text[end:])["event"] == json.loads(two.body)


@pytest.mark.parametrize(
    ("options", "authorization"),
    [({}, "ApiKey s3cret"), ({"username": "yett"}, f"Basic {base64.b64encode(b'yett:s3cret').decode()}")],
)
async def test_elasticsearch_creates_each_event_under_its_id(options: dict[str, Any], authorization: str) -> None:
    one, two = record(), record(position=1)
    async with receiving(items(201, 409)) as receiver:  # the second is there already
        receipt = await sent("elasticsearch", receiver.port, one, two, secret="s3cret", **options)
    assert (receipt.taken, receipt.problem) == ({0, 1}, None)
    line, headers, body = receiver.requests[0]
    assert line.startswith(b"POST /audit/_bulk?")
    assert headers["authorization"] == authorization
    assert [json.loads(each) for each in body.splitlines()] == [
        {"create": {"_id": one.id}},
        {"@timestamp": one.event["time"], **json.loads(one.body)},
        {"create": {"_id": two.id}},
        {"@timestamp": two.event["time"], **json.loads(two.body)},
    ]


_DOCUMENT, _INDEX = {"type": "document_parsing_exception", "reason": "user alice"}, {"type": "index_closed_exception"}


@pytest.mark.parametrize(
    ("said", "taken", "refused", "problem"),
    [
        (items(201, 429, error=_INDEX), {0}, {}, "item_429_index_closed_exception"),
        (items(201, 503), {0}, {}, "item_503"),
        (items(201, 404), {0}, {}, "item_404"),
        (items(201, 403), {0}, {}, "item_403"),
        (items(201, 400), {0}, {1: "item_400"}, None),
        (items(409, 400, error=_INDEX), {0}, {1: "item_400_index_closed_exception"}, None),
        (items(400, 400, error=_DOCUMENT), set(), dict.fromkeys((0, 1), "item_400_document_parsing_exception"), None),
        (items(400, 400, error=_INDEX), set(), {}, "item_400_index_closed_exception"),  # it is not the events' fault
        (
            items(400, 429, error=_DOCUMENT),
            set(),
            {0: "item_400_document_parsing_exception"},
            "item_429_document_parsing_exception",
        ),
    ],
)
async def test_elasticsearch_may_take_some_and_not_others(
    said: bytes, taken: set[int], refused: dict[int, str], problem: str | None
) -> None:
    async with receiving(said) as receiver:
        receipt = await sent("elasticsearch", receiver.port, record(), record(position=1))
    assert (receipt.taken, receipt.refused, receipt.problem) == (taken, refused, problem)


TAKEN = {"webhook": answer(b""), "splunk_hec": answer(b'{"code":0}'), "elasticsearch": items(201)}


@pytest.mark.parametrize("kind", OPTIONS)
async def test_a_checkpoint_goes_as_it_was_signed(kind: str) -> None:
    one = checkpoint()
    async with receiving(TAKEN[kind]) as receiver:
        assert (await sent(kind, receiver.port, one)).taken == {0}
    ((_, _, body),) = receiver.requests
    told = json.loads(body.splitlines()[-1])
    found = {"webhook": lambda: told["data"]["events"][0], "splunk_hec": lambda: told["event"]}.get(
        kind, lambda: told
    )()
    assert {name: found[name] for name in one.event} == one.event


HOSTILE: list[tuple[str, bytes, str]] = [
    ("redirect", answer(b"", status="302 Found", Location="http://169.254.169.254/"), "status_302"),
    ("refused", answer(b"token alice", status="403 Forbidden"), "status_403"),
    ("too large", ENDLESS, "answer_too_large"),
    ("no HTTP", b"220 smtp.example.com\r\n\r\n", "answer_malformed"),
    ("nothing", b"", "answer_malformed"),
]
WRONG_JSON = [
    b"[" * 100_000,
    b"{",
    b"null",
    b"[]",
    b'{"code":"0"}',
    b'{"items":[]}',
    b'{"items":[{"create":1}]}',
    b"\xff",
]


@pytest.mark.parametrize(("said", "problem"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
@pytest.mark.parametrize("kind", OPTIONS)
async def test_a_hostile_answer_takes_nothing(kind: str, said: bytes, problem: str) -> None:
    async with receiving(said) as receiver:
        receipt = await sent(kind, receiver.port, record())
    assert (receipt.taken, receipt.problem) == (frozenset(), problem)


@pytest.mark.parametrize("body", WRONG_JSON)
@pytest.mark.parametrize("kind", ["splunk_hec", "elasticsearch"])
async def test_what_is_no_answer_of_its_kind_takes_nothing(kind: str, body: bytes) -> None:
    async with receiving(answer(body)) as receiver:
        receipt = await sent(kind, receiver.port, record())
    assert (receipt.taken, receipt.problem) == (frozenset(), "answer_malformed")


async def test_splunks_own_no_is_told_by_its_code() -> None:
    async with receiving(answer(b'{"text":"Server is busy","code":9}')) as receiver:
        receipt = await sent("splunk_hec", receiver.port, record())
    assert (receipt.taken, receipt.problem) == (frozenset(), "code_9")


async def test_nobody_there_takes_nothing() -> None:
    async with receiving(b"") as receiver:
        pass
    receipt = await sent("webhook", receiver.port, record())
    assert receipt.problem == "unreachable"


async def test_one_that_never_answers_is_given_up() -> None:
    async with receiving(None) as receiver:
        receipt = await sent("webhook", receiver.port, record(), timeout="1s")
    assert receipt.problem == "timed_out"


async def test_a_receiver_is_known_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("receiver", "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with receiving(answer(b""), tls=tls) as receiver:
        at = f"localhost:{receiver.port}"
        good = await sent("webhook", receiver.port, record(), url=f"https://{at}/", ca_file=authority.file)
        elsewhere = f"https://127.0.0.1:{receiver.port}/"
        wrong = await sent("webhook", receiver.port, record(), url=elsewhere, ca_file=authority.file)
    assert (good.problem, wrong.problem) == (None, "unreachable")
    assert len(receiver.requests) == 1

"""``yett serve`` beside a collector: client, gateway and upstream stand in one trace, and it tells the decision."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.e2e.collector import Collector, collector, named
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.recording_upstream import RecordingUpstream

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER, CLIENT = 2, 3
HEADER = "Bearer of-the-collector"


@contextmanager
def traced(copy_of: Copy, to: Collector, more: str = "") -> Iterator[Gateway]:
    installation = copy_of("sqlite")
    fields = installation.data.parent / "fields"
    fields.write_text(f"Authorization: {HEADER}\n", encoding="ascii")
    text = installation.config.read_text(encoding="utf-8")
    wanted = f"otlp: {{endpoint: '{to.url}', sample: 1, headers_file: '{fields}'}}\n"
    installation.config.write_text(f"{wanted}{more}{text}", encoding="utf-8")
    running = Gateway(installation, installation.data.parent)
    try:
        running.wait_until_ready()
        yield running
        running.close()
        running.stop()
    finally:
        running.close()
        running.discard()


def ask(gateway: Gateway, path: str, flags: str, token: str | None = None) -> httpx.Response:
    """From within a trace of the client's own."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": "theirs=1"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return gateway.api.get(path, headers=headers)


def test_a_trusted_proxys_trace_goes_on_through_the_gateway_to_the_upstream(
    copy_of: Copy, upstream: RecordingUpstream
) -> None:
    with collector() as to, traced(copy_of, to, "trusted_proxies: [127.0.0.1/32]\n") as gateway:
        token = gateway.token("alice", "acme")
        upstream.clear()
        assert ask(gateway, "/orders/7?card=4711", "01", token).status_code == 200
        eventually(lambda: len(to.of(TRACE)) == 2, within=30, what="its spans came")
        (server,) = (span for span in to.of(TRACE) if span.kind == SERVER)
        (client,) = (span for span in to.of(TRACE) if span.kind == CLIENT)
        assert (server.parent_span_id.hex(), client.parent_span_id) == (PARENT, server.span_id)
        (seen,) = upstream.requests
        assert seen.values("traceparent") == [f"00-{TRACE}-{client.span_id.hex()}-01"]
        assert seen.values("tracestate") == ["theirs=1"]
        assert server.start_time_unix_nano <= client.start_time_unix_nano <= client.end_time_unix_nano
        told = named(server.attributes)
        assert (told["yett.decision"], told["yett.reason"], told["yett.route"]) == ("allow", "allowed", "orders-read")
        assert (told["yett.tenant"], told["http.response.status_code"]) == ("acme", 200)
        assert re.fullmatch("[0-9a-f]{64}", told["yett.config"])
        assert to.headers[0]["authorization"] == HEADER
        assert to.resources[0]["service.name"] == "yett"
        assert token.encode() not in b"".join(to.bodies)
        assert b"4711" not in b"".join(to.bodies)

        before = len(to.spans)
        assert ask(gateway, "/orders/7", "00", token).status_code == 200
        assert upstream.requests[-1].values("traceparent")[0].endswith("-00")
        assert gateway.call("/orders/8").status_code == 401  # what was put in the queue before has come when this has
        eventually(
            lambda: any(named(span.attributes)["http.response.status_code"] == 401 for span in to.spans),
            within=30,
            what="its spans came",
        )
        assert len(to.spans) == before + 1


def test_a_strangers_trace_is_linked_and_a_refusal_is_told(copy_of: Copy, upstream: RecordingUpstream) -> None:
    with collector() as to, traced(copy_of, to) as gateway:
        upstream.clear()
        refused = ask(gateway, "/orders/7", "01")
        assert refused.status_code == 401
        allowed = ask(gateway, "/public/x", "01")
        assert allowed.status_code == 200
        own = allowed.headers["x-request-id"]
        eventually(lambda: len(to.of(own)) == 2, within=30, what="its spans came")
        assert to.of(TRACE) == []
        assert upstream.requests[-1].values("traceparent")[0].startswith(f"00-{own}-")
        assert upstream.requests[-1].values("tracestate") == []
        (server,) = to.of(refused.headers["x-request-id"])
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in server.links] == [(TRACE, PARENT)]
        told = named(server.attributes)
        assert (told["yett.decision"], told["yett.route"]) == ("challenge", "orders-read")
        assert "yett.tenant" not in told


def test_what_waits_is_sent_at_the_end(copy_of: Copy) -> None:
    with collector() as to:
        with traced(copy_of, to) as gateway:
            ids = [gateway.call("/public/x").headers["x-request-id"] for _ in range(20)]
        assert all(len(to.of(each)) == 2 for each in ids)

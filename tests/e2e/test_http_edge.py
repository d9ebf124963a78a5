"""Every row of ``tests/vectors/http_edge.json`` on the wire: the served gateway, and an API that notes every byte.

What a row says of the application behind the edge holds here of the API: no byte of a refused request reaches it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.installation import API, IDENTITY
from tests.e2e.raw_socket import RawSocket
from tests.e2e.recording_upstream import RecordingUpstream, Seen

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "http_edge.json").read_text(encoding="utf-8")
)["cases"]

# The edge lets these through, and there is no address for them behind it.
_BEHIND_THE_EDGE = {
    "target-absolute-without-path": [404],
    "target-absolute-options": [400],
    "target-star-options": [400],
    "target-8192": [404],
    "target-odd-signs": [400],
    "host-ipv6": [421],
    "host-upper": [421],
}
# These routes are for no WebSockets: whatever speaks of one is refused, and the connection goes on.
_UPGRADES = {"upgrade-then-request": [400, 200], "upgrade-empty-body": [400], "upgrade-without-connection": [400]}


def _tokens(gateway: Gateway, text: str) -> str:
    def token(match: re.Match[str]) -> str:
        found = gateway.token(match[1], match[2] or "acme")
        return found[: int(match[3])] if match[3] else found

    return re.sub(r"\{token:([a-z]+)(?:@([a-z]+))?(?::(-\d+))?\}", token, text)


def _fill(gateway: Gateway, text: str) -> str:
    host = f"{API}:{gateway.port}"
    text = text.replace("{host}", host).replace("{HOST}", host.upper())
    text = text.replace("{apiname}", API).replace("{identity}", IDENTITY)
    text = re.sub(r"\{repeat:(.):(\d+)\}", lambda match: match[1] * int(match[2]), text)
    text = _tokens(gateway, text)
    assert not re.search(r"\{[a-z]+[:}]", text), "a placeholder that nobody fills in"
    return text


def _wire(gateway: Gateway, text: str) -> bytes:
    return _fill(gateway, text).encode("latin-1")


def _barrier(gateway: Gateway, upstream: RecordingUpstream, seen: list[Seen]) -> bytes:
    """Whatever the gateway sent because of the row has reached the API once a request that follows it has."""
    noted = upstream.raw
    assert gateway.call("/public/barrier").status_code == 200
    assert [request.target for request in upstream.requests[len(seen) :]] == ["/public/barrier"]
    return noted


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_row(case: dict[str, Any], sqlite_gateway: Gateway, upstream: RecordingUpstream) -> None:
    gateway = sqlite_gateway
    request = _wire(gateway, case["request"])
    status = _UPGRADES.get(case["id"]) or _BEHIND_THE_EDGE.get(case["id"]) or case["status"]
    several = case.get("responses", 1) > 1
    count = len(status) if several else 1
    upstream.clear()
    with RawSocket(gateway.port, to_head=case.get("head", False)) as connection:
        connection.send(request)
        _go_on(case, gateway, connection)
        connection.read_until(lambda: len(connection.answers()) >= count)
        if case.get("closes") is True:
            connection.read_to_end()
        elif case.get("closes") is False:
            assert not connection.closed
            before = len(connection.answers())
            connection.send(f"GET /public/next HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n".encode())
            connection.read_to_end()
            *_, last = connection.answers()
            assert (len(connection.answers()), last.status) == (before + 1, 200)
            assert upstream.requests.pop().target == "/public/next"
            count += 1
            status = [*status, 200] if several else status
        answers = connection.answers()
    assert len(answers) <= count
    if several:
        assert [answer.status for answer in answers] == status
    else:
        assert answers[0].status in status, answers[0]
    if "code" in case:
        assert answers[-1].code == case["code"]
    if "no_bytes" in case:
        assert case["no_bytes"].encode() not in connection.received
    _check_upstream(case, gateway, upstream)


def _go_on(case: dict[str, Any], gateway: Gateway, connection: RawSocket) -> None:
    """What the row sends later: behind an answer of the status that it names, or once what went before was read."""
    told = 0
    for step in case.get("then", ()):
        if "after" in step:
            connection.read_until(lambda: len(connection.statuses()) > told)  # noqa: B023 - called in this turn
            assert connection.statuses()[told:] == [step["after"]]
            told += 1
        else:
            assert gateway.probes.get("/livez").status_code == 200  # served by the loop that reads our bytes
        connection.send(_wire(gateway, step["send"]))


def _check_upstream(case: dict[str, Any], gateway: Gateway, upstream: RecordingUpstream) -> None:
    seen = list(upstream.requests)
    raw = _barrier(gateway, upstream, seen)
    expected: str | list[str] | None = case.get("upstream")
    if expected is None:
        _check_passed(case, seen)
        return
    for wording in [expected] if isinstance(expected, str) else expected:
        _check_wording(_fill(gateway, wording), seen, raw)


def _check_wording(expected: str, seen: list[Seen], raw: bytes) -> None:
    whole = [request for request in seen if request.whole]
    if expected == "silent":
        assert raw == b""
    elif expected == "no complete request":
        assert whole == []
        assert b"smuggled" not in raw
    elif expected.startswith("never sees "):
        for word in expected.removeprefix("never sees ").split(", "):
            assert word.lower().encode() not in raw.lower()
    elif match := re.fullmatch(r"sees (\d+) requests?", expected):
        assert len(whole) == len(seen) == int(match[1])
    elif match := re.fullmatch(r"sees targets? (\S+(?: \S+)*)", expected):
        assert [request.target for request in whole] == match[1].split(" ")
    elif match := re.fullmatch(r"sees ([a-z-]+): (.+)", expected):
        assert [request.values(match[1]) for request in whole] == [[value] for value in match[2].split(" | ")]
    else:
        raise AssertionError(f"a wording that nobody checks: {expected}")


def _check_passed(case: dict[str, Any], seen: list[Seen]) -> None:
    """What the edge hands on reaches the API as it was meant, as often as it was sent."""
    if case["id"] in _BEHIND_THE_EDGE:
        assert seen == []
        return
    refused = _UPGRADES.get(case["id"], []).count(400)
    assert len(seen) == case["app_sees"] - refused
    assert all(request.whole for request in seen)
    for request in seen:
        assert len(request.values("host")) == 1
        assert not {name for name, _ in request.fields} & set(case.get("absent", []))
    if not seen:
        return
    if "target" in case:
        assert seen[0].target == case["target"]
    if "body" in case:
        assert seen[0].body == case["body"].encode("latin-1")

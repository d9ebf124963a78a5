"""The two readers of a head, our own rules and llhttp, agree on every byte; so do a whole head and one in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.fault import Refused
from gateway.server.framing import Framing
from gateway.server.head import check_lines, request_line
from gateway.server.limits import ServerLimits

LIMITS = ServerLimits()
LINE = b"GET /x HTTP/1.1\r\n"
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
TEXT = frozenset([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
TARGET = frozenset(range(0x21, 0x7F)) - frozenset(b"#")


def accepted(head: bytes) -> bool:
    try:
        request_line(head, LIMITS)
        Framing(lambda _: None, LIMITS).open(head)
    except Refused:
        return False
    return True


def accepted_in_pieces(head: bytes) -> bool:
    try:
        start = 0
        for end in range(1, len(head) + 1):
            start = check_lines(head[:end], start, LIMITS)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (LINE + b"X", b"A: b\r\n\r\n", TOKEN | {0x3A}),
        (LINE, b"A: b\r\n\r\n", TOKEN),
        (LINE + b"A", b": b\r\n\r\n", TOKEN | {0x3A}),
        (LINE + b"X: y\r\n", b"Z: 1\r\n\r\n", TOKEN),
        (LINE + b"X: a", b"b\r\n\r\n", TEXT),
        (LINE + b"X: ", b"b\r\n\r\n", TEXT),
        (LINE + b"X:", b"b\r\n\r\n", TEXT),
        (LINE + b"X: b", b"\r\n\r\n", TEXT),
        (LINE + b"X: b\r", b"\r\n", frozenset(b"\n")),
        (LINE + b"X: b\r", b"Y: c\r\n\r\n", frozenset(b"\n")),
        (LINE + b"X: b\r\n\r", b"", frozenset(b"\n")),
        (b"GET /x", b"y HTTP/1.1\r\n\r\n", TARGET),
        (b"GET /x?", b" HTTP/1.1\r\n\r\n", TARGET),
        (b"GET ", b" HTTP/1.1\r\n\r\n", frozenset(b"/")),
        (b"GET", b"/x HTTP/1.1\r\n\r\n", frozenset(b" ")),
        (b"GET /x", b"HTTP/1.1\r\n\r\n", frozenset(b" ")),
        (b"GET /x HTTP", b"1.1\r\n\r\n", frozenset(b"/")),
        (b"GET /x HTTP/1", b"1\r\n\r\n", frozenset(b".")),
        (b"GET /x HTTP/1.", b"\r\n\r\n", frozenset(b"01")),
        (b"GET /x HTTP/", b".1\r\n\r\n", frozenset(b"1")),
        (b"GET /x HTTP/1.1", b"\r\n\r\n", frozenset()),
        (b"GET /x HTTP/1.1\r", b"\r\n", frozenset(b"\n")),
        (b"", b"GET /x HTTP/1.1\r\n\r\n", frozenset()),
        (b"G", b"T /x HTTP/1.1\r\n\r\n", frozenset(b"E")),
    ],
)
def test_every_byte_is_judged_alike(before: bytes, after: bytes, allowed: frozenset[int]) -> None:
    heads = {byte: before + bytes([byte]) + after for byte in range(256)}
    assert {byte for byte, head in heads.items() if accepted(head)} == allowed
    assert all(accepted_in_pieces(heads[byte]) for byte in allowed)


PIECES = st.sampled_from(
    [
        *(b"GET", b"POST", b"TRACE", b"get", b" ", b"/x", b"*", b"http://a/", b"#"),
        *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", LINE, LINE, LINE + b"Host: a\r\n"),
        *(b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\t", b":", b"\xff", b"\x7f"),
        *(b"Host: a", b"X", b"X: y", b" X: y", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 120), max_size=4))
def test_a_head_is_refused_for_the_same_reason_whole_and_in_pieces(start: bytes, places: list[int]) -> None:
    head = start.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert reason(head, []) == reason(head, sorted(place for place in places if place < len(head)))


def reason(head: bytes, places: list[int]) -> str:
    try:
        at = 0
        for end in places:
            at = check_lines(head[:end], at, LIMITS)
        request_line(head, LIMITS)
        Framing(lambda _: None, LIMITS).open(head)
    except Refused as refused:
        return refused.fault.code
    return "fine"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_a_chunked_body_ends_at_its_end_however_it_is_cut(chunks: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-A: b\r\n\r\n"
    stream = wire + LINE
    places = data.draw(st.lists(st.integers(1, len(stream)), max_size=6, unique=True).map(sorted))
    got: list[bytes] = []
    framing = Framing(got.append, LIMITS)
    framing.open(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    framing.expect(-1)
    rest = b""
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        piece = stream[start:end]
        rest += piece if framing.complete else framing.feed(piece)
    assert b"".join(got) == b"".join(chunks)
    assert rest == LINE
    assert framing.complete
    assert framing.open(LINE + b"Host: a\r\n\r\n") == [(b"host", b"a")]

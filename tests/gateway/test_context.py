"""Where a request comes from: what a proxy vouches for, never what a client claims."""

from ipaddress import ip_address, ip_network

import pytest

from gateway.context import UNKNOWN, client_address, is_trusted, new_request_id, normalised, vouched_hops

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ff::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["203.0.113.5", "198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["198.51.100.9, 10.1.2.3"], "198.51.100.9"),
        ("10.0.0.1", ["198.51.100.9", "10.1.2.3 , 10.1.2.4"], "198.51.100.9"),
        ("10.0.0.1", ["10.1.1.1, 10.1.2.3"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.9:4711"], "198.51.100.9"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("2001:db8:ff::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.9"], "198.51.100.9"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("fe80::1%eth0", [], "fe80::1"),
    ],
)
def test_the_right_most_hop_that_is_no_proxy_is_the_client(peer: str, forwarded_for: list[str], client: str) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == ip_address(client)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        " ",
        "unknown",
        "_hidden",
        "198.51.100",
        "198.51.100.9.1",
        "1.2.3.4:99999999",
        "fe80::1%eth0",
        "[::1",
        "localhost",
        "0x7f.1",
        "010.0.0.1",
        "1.2.3.4/32",
        "\x00",
        "\u0661.2.3.4",
        "for=1.2.3.4",
    ],
)
def test_garbage_ends_the_walk_at_the_last_hop_that_was_vouched_for(garbage: str) -> None:
    assert client_address("10.0.0.1", [garbage], TRUSTED) == ip_address("10.0.0.1")
    assert client_address("10.0.0.1", [f"198.51.100.9, {garbage}, 10.0.0.2"], TRUSTED) == ip_address("10.0.0.2")


def test_nobody_is_trusted_by_default() -> None:
    assert client_address("127.0.0.1", ["198.51.100.9"], ()) == ip_address("127.0.0.1")


def test_what_a_client_wrote_is_not_among_the_hops() -> None:
    hops = vouched_hops("10.0.0.1", ["203.0.113.66, 198.51.100.9, 10.0.0.2"], TRUSTED)
    assert hops == tuple(map(ip_address, ("198.51.100.9", "10.0.0.2", "10.0.0.1")))


def test_a_long_chain_is_not_followed_for_ever() -> None:
    assert len(vouched_hops("10.0.0.1", ["10.0.0.2," * 10_000], TRUSTED)) < 50


@pytest.mark.parametrize("peer", ["", "/run/yett.sock", "garbage"])
def test_a_peer_without_an_address_is_unknown_and_untrusted(peer: str) -> None:
    assert client_address(peer, ["198.51.100.9"], TRUSTED) == UNKNOWN
    assert not is_trusted(UNKNOWN, TRUSTED)


def test_a_mapped_address_is_the_address() -> None:
    assert normalised(ip_address("::ffff:192.0.2.1")) == ip_address("192.0.2.1")
    assert normalised(ip_address("2001:db8::1")) == ip_address("2001:db8::1")


def test_request_ids_are_32_hex_digits_and_differ() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)

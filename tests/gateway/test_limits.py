"""Coarse limits per client network: slowapi, in memory (rule 11)."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.context import Address
from gateway.limits import AddressLimit, client_network
from gateway.middleware import context_of
from tests.gateway.asgi import request_with_context


async def address_of(peer: str, **seen: Any) -> Address:
    return context_of((await request_with_context(peer, **seen)).scope).address


async def admitted(limit: AddressLimit, address: str, count: int = 1) -> list[bool]:
    return [limit.refused_for(await address_of(address)) is None for _ in range(count)]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "0.0.0.0/32"),
    ],
)
async def test_a_client_is_its_ipv4_address_or_its_ipv6_64(address: str, network: str) -> None:
    assert client_network(await address_of(address)) == network


async def test_a_trusted_proxy_speaks_for_its_client_and_nobody_else_does() -> None:
    trusted = (ip_network("10.0.0.0/8"),)
    vouched = await address_of("10.0.0.1", forwarded="198.51.100.9, 203.0.113.7", trusted=trusted)
    spoofed = await address_of("192.0.2.1", forwarded="203.0.113.7", trusted=trusted)

    assert client_network(vouched) == "203.0.113.7/32"
    assert client_network(spoofed) == "192.0.2.1/32"


async def test_what_is_over_the_rate_is_refused_and_told_when_to_come_again() -> None:
    limit = AddressLimit("2/minute")
    assert await admitted(limit, "203.0.113.7", 2) == [True, True]

    seconds = limit.refused_for(await address_of("203.0.113.7"))
    assert seconds is not None
    assert 1 <= seconds <= 60


@pytest.mark.parametrize("rate", ["100/second;2/minute", "2/minute;100/second"])
async def test_of_several_rates_each_has_to_admit_a_request(rate: str) -> None:
    limit = AddressLimit(rate)
    assert await admitted(limit, "203.0.113.7", 3) == [True, True, False]

    seconds = limit.refused_for(await address_of("203.0.113.7"))
    assert seconds is not None
    assert seconds > 1  # the minute's, not the second's


async def test_one_clients_excess_is_not_anothers() -> None:
    limit = AddressLimit("1/minute")

    assert await admitted(limit, "203.0.113.7", 2) == [True, False]
    assert await admitted(limit, "203.0.113.8") == [True]


async def test_each_limit_counts_for_itself() -> None:
    first, second = AddressLimit("1/minute"), AddressLimit("1/minute")

    assert await admitted(first, "203.0.113.7") == [True]
    assert await admitted(second, "203.0.113.7") == [True]


async def test_a_window_that_is_over_counts_no_more() -> None:
    limit = AddressLimit("1/second")
    await admitted(limit, "203.0.113.7")
    refused = limit.refused_for(await address_of("203.0.113.7"))

    assert refused in (None, 1)


async def test_neither_environment_nor_a_file_beside_it_switches_the_limit_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slowapi reads settings of its own; ours are the only ones."""
    (tmp_path / ".env").write_text("RATELIMIT_ENABLED=false\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATELIMIT_ENABLED", "false")
    assert os.environ["RATELIMIT_ENABLED"] == "false"
    limit = AddressLimit("1/minute")

    assert await admitted(limit, "203.0.113.7", 2) == [True, False]


async def test_memory_is_bounded_by_counting_wider_ipv6_networks_while_very_many_ask() -> None:
    limit = AddressLimit("2/minute", max_networks=3)
    for last in range(3):
        assert await admitted(limit, f"2001:db8:0:{last}::1") == [True]

    assert await admitted(limit, "2001:db8:1:1::1", 2) == [True, True]
    assert await admitted(limit, "2001:db8:1:2::1") == [False]  # of the same /48
    assert await admitted(limit, "2001:db8:2:1::1") == [True]


async def test_an_ipv4_client_never_shares_its_limit() -> None:
    limit = AddressLimit("1/minute", max_networks=0)

    assert await admitted(limit, "198.51.100.1", 2) == [True, False]
    assert await admitted(limit, "198.51.100.2") == [True]

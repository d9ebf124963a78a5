"""Lines that repeat are remembered; with more callers than there is room for, the oldest is forgotten and not all."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.proxy import identity
from gateway.proxy.headers import Inbound
from gateway.proxy.identity import IdentityLines, Origin, Origins
from tests.gateway.proxy.harness import ALICE


@pytest.fixture(autouse=True)
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_REMEMBERED", 3)


def test_one_caller_too_many_costs_the_lines_of_one() -> None:
    lines, callers = IdentityLines(), [replace(ALICE, subject=f"user{number}") for number in range(4)]
    first = [lines.of(caller) for caller in callers]
    assert [lines.of(caller) is known for caller, known in zip(callers[1:], first[1:], strict=True)] == [True] * 3
    assert lines.of(callers[0]) == first[0]
    assert lines.of(callers[0]) is not first[0]


def test_the_lines_are_those_of_this_caller_even_where_another_had_its_place() -> None:
    lines = IdentityLines()
    for number in range(50):
        assert f"x-yett-subject: user{number}\r\n".encode() in lines.of(replace(ALICE, subject=f"user{number}"))
    assert len(lines._lines) == 3


def test_one_address_too_many_costs_the_lines_of_one() -> None:
    origins, inbound = Origins((ip_network("10.0.0.0/8"),)), Inbound()

    def of(number: int) -> Origin:
        return origins.of(f"192.0.2.{number}", "https", inbound)

    first = [of(number) for number in range(4)]
    assert [of(number) is first[number] for number in (1, 2, 3)] == [True] * 3
    assert of(0) is not first[0]

"""What callers have spent is kept within a bound, and nobody's count is given up for somebody else's."""

from uuid import UUID

import pytest

from gateway.proxy.quota_table import QuotaTable, Refused, Scope
from policies.quota import SECOND, Exhausted, Quota

QUOTA = Quota("address", 60, "minute", 2)
ONE: Scope = (None, "public", "address-minute")


class Table:
    """A table and its clock."""

    def __init__(self, most: int) -> None:
        self.now = 10**12
        self.table = QuotaTable(most, lambda: self.now)

    def ask(self, who: str, scope: Scope = ONE, quota: Quota = QUOTA) -> str:
        outcome = self.table.spend([(scope, who, quota)])
        if not isinstance(outcome, Refused):
            return "spent"
        return "exhausted" if outcome.exhausted else "full"


def tenant(number: int) -> Scope:
    return (UUID(int=number), "orders", "address-minute")


def test_each_caller_has_a_count_of_its_own() -> None:
    made = Table(100)
    assert [made.ask("a") for _ in range(3)] == ["spent", "spent", "exhausted"]
    assert made.ask("b") == "spent"
    assert made.ask("a", tenant(1)) == "spent"
    made.now += SECOND
    assert [made.ask("a") for _ in range(2)] == ["spent", "exhausted"]


def test_a_request_counts_for_all_of_its_limits_or_for_none() -> None:
    made = Table(100)
    strict, loose = Quota("route", 1, "day", 1), Quota("address", 60, "minute", 2)
    accounts = [((None, "r", "route-day"), "", strict), ((None, "r", "address-minute"), "a", loose)]
    assert not isinstance(made.table.spend(accounts), Refused)
    for _ in range(5):
        refused = made.table.spend(accounts)
        assert isinstance(refused, Refused)
        assert [quota for quota, _ in refused.exhausted] == [strict]
    assert made.ask("a", (None, "r", "address-minute"), loose) == "spent"  # one of two was counted, not six


def test_of_several_limits_that_are_reached_each_is_told() -> None:
    made = Table(100)
    accounts = [
        ((None, "r", "a-minute"), "", Quota("route", 1, "minute", 1)),
        ((None, "r", "b-day"), "", Quota("address", 1, "day", 1)),
    ]
    made.table.spend(accounts)
    refused = made.table.spend(accounts)
    assert isinstance(refused, Refused)
    assert [one for _, one in refused.exhausted] == [Exhausted(60 * SECOND), Exhausted(86_400 * SECOND)]


def test_a_stranger_with_many_addresses_evicts_nobody_and_is_refused() -> None:
    made = Table(40)
    made.ask("victim")
    made.ask("victim")
    outcomes = [made.ask(f"address-{n}") for n in range(1000)]
    assert outcomes[:9] == ["spent"] * 9
    assert set(outcomes[9:]) == {"full"}
    assert made.ask("victim") == "exhausted"
    assert len(made.table) == 10


def test_the_crowd_of_one_limit_leaves_room_for_others() -> None:
    made = Table(40)
    for n in range(1000):
        made.ask(f"address-{n}")
    assert [made.ask("a", tenant(n)) for n in range(20)] == ["spent"] * 20


def test_it_never_keeps_more_than_it_may() -> None:
    made = Table(40)
    outcomes = [made.ask(f"a-{n}", tenant(n % 8)) for n in range(400)]
    assert len(made.table) == 40
    assert outcomes.count("spent") == 40


def test_what_is_over_makes_room() -> None:
    made = Table(40)
    for n in range(1000):
        made.ask(f"a-{n}", tenant(n % 8))
    made.now += 60 * SECOND
    assert [made.ask(f"b-{n}", tenant(n % 8)) for n in range(40)] == ["spent"] * 40
    assert len(made.table) == 40


def test_it_shrinks_while_others_come() -> None:
    made = Table(10_000)
    for n in range(2000):
        made.ask(f"a-{n}")
    made.now += 60 * SECOND
    for n in range(1500):
        made.ask(f"b-{n}")
    assert len(made.table) == 1500


@pytest.mark.parametrize("scopes", [1, 7, 500])
def test_a_stranger_costs_the_same_however_many_there_are(scopes: int) -> None:
    made = Table(4000)
    looked_at = 0

    class Counted(int):
        def __gt__(self, other: int) -> bool:
            nonlocal looked_at
            looked_at += 1
            return int(self) > other

    for n in range(5000):
        made.ask(f"a-{n}", tenant(n % scopes))
    for callers in made.table._scopes.values():
        callers.update({who: Counted(until) for who, until in callers.items()})
    made.ask("new", tenant(0))
    assert 0 < looked_at <= 70

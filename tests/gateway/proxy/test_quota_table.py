"""What callers have spent is kept within a bound, and nobody's count is given up for somebody else's."""

from uuid import UUID

import pytest

from gateway.proxy.quota_scope import Who
from gateway.proxy.quota_table import OPERATOR, QuotaTable, Refused, Scope
from policies.quota import SECOND, Exhausted, Quota

QUOTA = Quota("address", 60, "minute", 2)
ONE: Scope = (None, "public", "address-minute")


class Table:
    """A table and its clock."""

    def __init__(self, most: int) -> None:
        self.now = 10**12
        self.table = QuotaTable(most, lambda: self.now)

    def ask(self, who: Who, scope: Scope = ONE, quota: Quota = QUOTA) -> str:
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
    assert outcomes[:4] == ["spent"] * 4
    assert set(outcomes[4:]) == {"full"}
    assert made.ask("victim") == "exhausted"
    assert len(made.table) == 5


def public(number: int) -> Scope:
    return (None, f"public-{number}", "address-minute")


def test_the_crowd_of_one_limit_leaves_room_for_others() -> None:
    made = Table(80)
    for n in range(1000):
        made.ask(f"address-{n}", public(0))
    assert [made.ask(f"b-{n}", public(1)) for n in range(10)] == ["spent"] * 10
    assert [made.ask("a", tenant(n)) for n in range(40)] == ["spent"] * 40


def test_strangers_at_all_routes_together_leave_room_for_tenants_and_a_tenant_for_the_others() -> None:
    made = Table(80)
    for n in range(1000):
        made.ask(f"address-{n}", public(n % 9))
        made.ask(f"address-{n}", (UUID(int=1), f"route-{n % 9}", "address-minute"))
    assert len(made.table) == 40
    assert made.ask("a", public(10)) == "full"
    assert [made.ask("a", tenant(n)) for n in range(2, 42)] == ["spent"] * 40


def test_a_request_with_several_limits_is_counted_by_all_of_them_against_its_owner() -> None:
    made = Table(80)
    limits = [Quota("address", 60, unit, 2) for unit in ("second", "minute", "hour", "day")]
    for n in range(100):
        made.table.spend([((None, "public", limit.name), f"address-{n}", limit) for limit in limits])
    assert len(made.table) == 20


def test_counts_of_tenants_and_of_routes_find_room_whatever_else_is_kept() -> None:
    made = Table(16)
    for n in range(1000):
        made.ask(f"address-{n}", public(n % 9))
        made.ask(f"address-{n}", tenant(n % 9))
    assert len(made.table) == 16
    route = (OPERATOR, "orders", "route-minute")
    assert [made.ask("", route) for _ in range(3)] == ["spent", "spent", "exhausted"]
    each = (OPERATOR, "orders", "tenant-minute")
    assert [made.ask(UUID(int=n), each) for n in range(50)] == ["spent"] * 50
    assert made.ask("a", tenant(1)) == "full"
    made.now += 3600 * SECOND
    assert [made.ask("a", tenant(n)) for n in range(16)] == ["spent"] * 16


def test_what_is_over_at_another_route_makes_room_for_the_same_owner() -> None:
    made = Table(80)
    for n in range(1000):
        made.ask(f"address-{n}", public(n % 2))
    made.now += 60 * SECOND
    assert [made.ask(f"b-{n}", public(2)) for n in range(10)] == ["spent"] * 10


def network(site: int, number: int) -> bytes:
    return site.to_bytes(6, "big") + number.to_bytes(2, "big")


def test_a_site_of_ipv6_holds_a_small_share_and_its_further_networks_are_one() -> None:
    made = Table(262_144)
    outcomes = [made.ask(network(1, n)) for n in range(65_536)]
    assert outcomes[:258] == ["spent"] * 258  # 256 networks, and two requests of all the others together
    assert set(outcomes[258:]) == {"exhausted"}
    assert len(made.table) == 257
    assert made.ask(network(2, 0)) == made.ask(b"\xc0\x00\x02\x07") == "spent"
    assert [made.ask(network(1, 0)) for _ in range(2)] == ["spent", "exhausted"]  # who was there keeps its own


def test_what_is_over_gives_a_site_its_share_back() -> None:
    made = Table(262_144)
    for n in range(1000):
        made.ask(network(1, n))
    made.now += 60 * SECOND
    for n in range(200):
        made.ask(f"others-{n}")
    assert [made.ask(network(1, n)) for n in range(2000, 2256)] == ["spent"] * 256


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
    made = Table(20_000)
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
    for share in made.table._shares.values():
        for callers in share.scopes.values():
            callers._until.update({who: Counted(until) for who, until in callers._until.items()})
    made.ask("new", tenant(0))
    assert 0 < looked_at <= 70

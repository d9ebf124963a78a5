"""The bench of tenants: each of its bars is missed by what is just beyond it, and by nothing else."""

from dataclasses import replace

from many_tenants import Cost, bars_missed

MET = Cost(
    tenants=10_000,
    users=1_000_000,
    made_in=200.0,
    database_mib=900.0,
    ready_in=5.0,
    cpu=4.0,
    caught_up_in=40.0,
    memory_mib=250.0,
    login=24.0,
    login_of_one=20.0,
)


def test_an_installation_at_its_bars_misses_none() -> None:
    assert bars_missed([MET]) == []


def test_each_bar_is_missed_by_itself() -> None:
    slow_start = replace(MET, ready_in=5.1)
    large = replace(MET, memory_mib=251.0)
    slow_login = replace(MET, login=24.1)
    assert bars_missed([slow_start, MET]) == ["10,000 tenants: ready in 5.1 s, not 5"]
    assert bars_missed([large]) == ["10,000 tenants: 251 MiB, not 250"]
    assert bars_missed([slow_login]) == ["10,000 tenants: a login takes 1.21 times that of one tenant"]

"""Who gets the next request and who is left out: weights, shares, ejection, trial; and somebody is always asked."""

from collections import Counter

import pytest

from gateway.proxy.balance import hash_subject, least_in_flight, round_robin
from gateway.proxy.endpoint import Endpoint, hash64
from gateway.proxy.endpoints import FAULTS, FIRST_EJECTION, LONGEST_EJECTION, Endpoints
from gateway.proxy.upstream import Health, Target, Upstream

SUBJECTS = [f"acme user-{number}" for number in range(4000)]


def endpoints_of(*weights: int, balance: str = "least-in-flight", most: int | None = None) -> Endpoints:
    targets = tuple(Target(f"10.0.0.{at}", 80, weight=weight, max_in_flight=most) for at, weight in enumerate(weights))
    made = Endpoints(Upstream("orders", targets, balance=balance))  # type: ignore[arg-type]
    for target in targets:
        made.update(target, (target.host,))
    return made


def served(endpoints: Endpoints, requests: int, subject: str | None = None) -> Counter[str]:
    """Requests one after the other."""
    count: Counter[str] = Counter()
    for _ in range(requests):
        chosen = endpoints.choose(subject)
        assert chosen is not None
        chosen.passed += chosen.stride
        count[chosen.address] += 1
    return count


@pytest.mark.parametrize("balance", ["least-in-flight", "round-robin", "hash-subject"])
def test_each_gets_its_share_by_weight(balance: str) -> None:
    count = served(endpoints_of(3, 1, balance=balance), 400)
    assert (count["10.0.0.0"], count["10.0.0.1"]) == (300, 100)


def test_turns_are_spread_and_not_bundled() -> None:
    endpoints = endpoints_of(1, 1, 1, balance="round-robin")
    for _ in range(10):
        assert len(served(endpoints, 3)) == 3


def test_the_least_loaded_for_its_weight_is_next() -> None:
    light, heavy = endpoints_of(1, 4).all
    light.open, heavy.open = 1, 3
    assert least_in_flight([light, heavy]) is heavy
    heavy.open = 5
    assert least_in_flight([light, heavy]) is light
    assert round_robin([light, heavy]) is light


def test_a_connection_that_waits_is_not_in_flight() -> None:
    one, other = endpoints_of(1, 1).all
    one.open, one.idle = 5, [object()] * 5  # type: ignore[list-item]
    other.open = 1
    assert one.in_flight == 0
    assert least_in_flight([other, one]) is one


def test_a_subject_has_its_target_and_a_lost_target_moves_its_own_share_only() -> None:
    three = endpoints_of(1, 1, 1).all
    before = {subject: hash_subject(three, subject) for subject in SUBJECTS}
    after = {subject: hash_subject(three[:2], subject) for subject in SUBJECTS}
    assert all(after[subject] is before[subject] for subject in SUBJECTS if before[subject] is not three[2])
    shares = Counter(endpoint.address for endpoint in before.values())
    assert all(0.28 < share / len(SUBJECTS) < 0.39 for share in shares.values())
    moved = Counter(after[subject].address for subject in SUBJECTS if before[subject] is three[2])
    assert len(moved) == 2


def test_subjects_are_shared_out_by_weight() -> None:
    heavy, light = endpoints_of(3, 1).all
    share = sum(hash_subject([heavy, light], subject) is heavy for subject in SUBJECTS) / len(SUBJECTS)
    assert 0.71 < share < 0.79


def test_the_same_subject_has_the_same_target_in_every_process() -> None:
    chosen = [hash_subject(endpoints_of(1, 1, 1).all, subject).address for subject in SUBJECTS[:8]]
    assert chosen == [f"10.0.0.{at}" for at in (0, 0, 0, 0, 2, 2, 2, 0)]


def test_a_subject_is_hashed_once_for_all_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    many = endpoints_of(*[1] * 64).all

    def counting(text: str) -> int:
        hashed.append(text)
        return hash64(text)

    monkeypatch.setattr("gateway.proxy.balance.hash64", counting)
    hash_subject(many, "acme alice")
    assert hashed == ["acme alice"]


def test_connections_that_are_dropped_are_looked_for_in_no_list() -> None:
    (endpoint,) = endpoints_of(1).all
    left: list[int] = []

    class Waiting:
        def close(self) -> None:
            left.append(len(endpoint.idle))

    endpoint.idle = [Waiting() for _ in range(3)]  # type: ignore[misc]
    endpoint.drop_idle()
    assert left == [0, 0, 0]


def fail(endpoints: Endpoints, endpoint: Endpoint, times: int, now: float) -> None:
    for _ in range(times):
        endpoints.failed(endpoint, now)


def test_faults_in_a_row_eject_for_a_time_that_grows_and_is_bounded() -> None:
    endpoints = endpoints_of(1, 1)
    bad, good = endpoints.all
    fail(endpoints, bad, FAULTS - 1, 0.0)
    assert endpoints.ready == [bad, good]
    endpoints.answered(bad, 0.0, 0.0)
    fail(endpoints, bad, FAULTS - 1, 0.0)
    assert endpoints.ready == [bad, good]  # they were not in a row

    now, lasted = 0.0, []
    endpoints.failed(bad, now)
    for _ in range(9):
        assert endpoints.ready == [good]
        assert endpoints.only is good
        lasted.append(bad.ejected_until - now)
        now = bad.ejected_until
        endpoints.review(now - 0.001)
        assert endpoints.ready == [good]
        endpoints.review(now)
        assert endpoints.ready == [bad, good]
        endpoints.failed(bad, now)  # on trial, one is enough
    assert lasted[:3] == [FIRST_EJECTION, 2 * FIRST_EJECTION, 4 * FIRST_EJECTION]
    assert lasted == sorted(lasted)
    assert lasted[-1] == LONGEST_EJECTION


def test_after_a_long_good_time_ejection_begins_anew() -> None:
    endpoints = endpoints_of(1, 1)
    bad, _ = endpoints.all
    fail(endpoints, bad, FAULTS, 1000.0)
    endpoints.review(1010.0)
    endpoints.answered(bad, 1010.0, 1010.0)
    fail(endpoints, bad, FAULTS, 1020.0)
    assert bad.ejected_until == 1020.0 + 2 * FIRST_EJECTION
    endpoints.review(1040.0)
    endpoints.answered(bad, 1040.0, 1040.0)
    fail(endpoints, bad, FAULTS, 1041.0 + LONGEST_EJECTION)
    assert bad.ejected_until == 1041.0 + LONGEST_EJECTION + FIRST_EJECTION


def test_on_trial_it_has_one_request_at_a_time_until_it_has_answered() -> None:
    endpoints = endpoints_of(1, 1)
    bad, good = endpoints.all
    fail(endpoints, bad, FAULTS, 0.0)
    endpoints.review(FIRST_EJECTION)
    good.open = 50
    assert endpoints.choose(None) is bad
    bad.open = 1
    assert endpoints.choose(None) is good
    endpoints.answered(bad, FIRST_EJECTION, FIRST_EJECTION)
    assert endpoints.choose(None) is bad


def test_what_began_before_does_not_take_the_place_of_the_request_on_trial() -> None:
    endpoints = endpoints_of(1, 1)
    bad, good = endpoints.all
    bad.open = 2  # streams, which may go on for hours
    fail(endpoints, bad, FAULTS, 0.0)
    endpoints.review(FIRST_EJECTION)
    good.open = 50
    assert endpoints.choose(None) is bad
    bad.open = 3
    assert endpoints.choose(None) is good


def test_on_trial_it_is_held_to_its_own_bound_too() -> None:
    endpoints = endpoints_of(1, 1, most=2)
    bad, good = endpoints.all
    bad.open = 2
    fail(endpoints, bad, FAULTS, 0.0)
    endpoints.review(FIRST_EJECTION)
    assert endpoints.choose(None) is good


def test_an_answer_to_a_request_from_before_does_not_bring_it_back() -> None:
    endpoints = endpoints_of(1, 1)
    bad, good = endpoints.all
    fail(endpoints, bad, FAULTS, 5.0)
    endpoints.answered(bad, 4.0, 6.0)
    assert endpoints.ready == [good]
    endpoints.review(5.0 + FIRST_EJECTION)
    endpoints.answered(bad, 4.0, 16.0)
    assert bad.on_trial
    endpoints.answered(bad, 16.0, 17.0)
    assert not bad.on_trial


def test_where_nobody_is_well_all_are_asked_and_who_answers_is_back() -> None:
    endpoints = endpoints_of(1, 1)
    for endpoint in endpoints.all:
        fail(endpoints, endpoint, FAULTS, 0.0)
    one, other = endpoints.all
    assert endpoints.ready == [one, other]
    one.open = 10
    assert endpoints.choose(None) is other
    endpoints.answered(other, 1.0, 1.0)
    assert endpoints.ready == [one, other]
    assert (one.on_trial, other.on_trial) == (True, False)


def test_after_an_outage_of_all_nobody_is_away_for_what_he_did_in_it() -> None:
    endpoints = endpoints_of(1, 1, 1)
    now = 0.0
    for _ in range(8):  # each is ejected for as long as can be
        for endpoint in endpoints.all:
            fail(endpoints, endpoint, FAULTS, now)
        now = max(endpoint.ejected_until for endpoint in endpoints.all)
        endpoints.review(now)
    for endpoint in endpoints.all:
        fail(endpoints, endpoint, FAULTS, now)
    first, second, third = endpoints.all
    endpoints.answered(first, now + 1, now + 1)
    assert endpoints.ready == [first, second, third]
    endpoints.failed(second, now + 2)  # it is not there yet
    assert endpoints.ready == [first, third]
    assert second.ejected_until == now + 2 + FIRST_EJECTION
    endpoints.answered(third, now + 2, now + 2)
    assert not third.on_trial


def test_a_good_answer_to_the_health_check_ends_an_ejection_with_a_trial() -> None:
    endpoints = endpoints_of(1, 1)
    bad, good = endpoints.all
    health = Health("/healthz", failures=1, successes=2)
    endpoints.probed(bad, health, None, 0.0)
    fail(endpoints, bad, FAULTS, 1.0)
    endpoints.probed(bad, health, "status 503", 2.0)
    endpoints.probed(bad, health, None, 3.0)
    assert endpoints.ready == [good]  # for the check itself, it is down
    endpoints.probed(bad, health, None, 4.0)
    assert endpoints.ready == [bad, good]
    assert bad.on_trial


def test_who_is_all_on_trial_is_not_held_to_one_request() -> None:
    endpoints = endpoints_of(1, 1)
    for endpoint in endpoints.all:
        fail(endpoints, endpoint, FAULTS, 0.0)
    endpoints.review(FIRST_EJECTION)
    for endpoint in endpoints.all:
        endpoint.open = 5
    assert endpoints.choose(None) is not None


def test_the_only_one_is_never_ejected() -> None:
    endpoints = endpoints_of(1)
    fail(endpoints, endpoints.all[0], 100, 0.0)
    assert endpoints.only is endpoints.all[0]
    assert endpoints.only.faults == 0


def test_who_was_away_does_not_get_the_turns_that_it_missed() -> None:
    endpoints = endpoints_of(1, 1, balance="round-robin")
    bad, _ = endpoints.all
    fail(endpoints, bad, FAULTS, 0.0)
    served(endpoints, 1000)
    endpoints.review(FIRST_EJECTION)
    endpoints.answered(bad, FIRST_EJECTION, FIRST_EJECTION)
    assert max(served(endpoints, 10).values()) <= 6


def test_a_target_at_its_bound_is_passed_over_and_all_of_them_are_busy() -> None:
    endpoints = endpoints_of(1, 1, most=2)
    one, other = endpoints.all
    one.open = 2
    assert endpoints.choose(None) is other
    other.open = 2
    assert endpoints.choose(None) is None


def test_whom_to_avoid_is_asked_before_those_that_are_left_out_and_after_all_others() -> None:
    endpoints = endpoints_of(1, 1, 1)
    bad, one, other = endpoints.all
    fail(endpoints, bad, FAULTS, 0.0)
    assert endpoints.choose(None, (), one) is other
    assert endpoints.choose(None, [other], one) is one
    assert endpoints.choose(None, [other, one], one) is bad
    assert endpoints.choose(None, [other, one, bad], one) is None


def test_health_answers_count_in_a_row_and_the_first_at_once() -> None:
    endpoints = endpoints_of(1, 1)
    one, other = endpoints.all
    health = Health("/healthz", failures=3, successes=2)
    endpoints.probed(one, health, "status 503", 0.0)
    assert endpoints.ready == [other]
    endpoints.probed(one, health, None, 0.0)
    endpoints.probed(one, health, "status 503", 0.0)
    endpoints.probed(one, health, None, 0.0)
    assert endpoints.ready == [other]
    endpoints.probed(one, health, None, 0.0)
    assert endpoints.ready == [one, other]
    for _ in range(2):
        endpoints.probed(one, health, "status 503", 0.0)
        endpoints.probed(one, health, "status 503", 0.0)
        assert endpoints.ready == [one, other]
        endpoints.probed(one, health, None, 0.0)
    for _ in range(3):
        endpoints.probed(one, health, "status 503", 0.0)
    assert endpoints.ready == [other]
    endpoints.probed(other, health, None, 0.0)
    for _ in range(3):
        endpoints.probed(other, health, "status 503", 0.0)
    assert endpoints.ready == [one, other]


def test_a_change_of_addresses_keeps_what_stays() -> None:
    target = Target("orders", 80)
    endpoints = Endpoints(Upstream("orders", (target,)))
    endpoints.update(target, ("10.0.0.1", "10.0.0.2"))
    one, two = endpoints.all
    endpoints.update(target, ("10.0.0.2", "10.0.0.3"))
    assert endpoints.all[0] is two
    assert [endpoint.address for endpoint in endpoints.all] == ["10.0.0.2", "10.0.0.3"]
    assert (one.retired, one.keeps) == (True, 0)
    endpoints.update(target, ())
    assert (endpoints.all, endpoints.only, endpoints.choose(None)) == ([], None, None)

"""What is counted stays bounded, and what several processes counted adds up."""

import pytest

from gateway.metrics import Counts, Durations, Family, Histogram, added_up
from gateway.metrics.series import OTHER, SECONDS


def test_labels_beyond_the_bound_are_counted_together() -> None:
    counts = Counts(most=2)
    for route in ("a", "b", "c", "d", "a"):
        counts.add(route, "2xx")
    assert counts.values == {("a", "2xx"): 2, ("b", "2xx"): 1, (OTHER, OTHER): 2}


def test_a_duration_falls_into_the_first_bucket_that_holds_it() -> None:
    durations = Durations(most=1)
    for seconds in (0.001, 0.0011, 10.1):
        durations.add("orders", seconds)
    durations.add("more", 0.5)
    found = durations.of("orders")
    assert found is not None
    assert found.counts == (1, 1, *[0] * (len(SECONDS) - 2), 1)
    assert found.total == pytest.approx(10.1021)
    assert durations.of("more") is None
    assert durations.of(OTHER) is not None


def test_a_bucket_keeps_one_example_a_second() -> None:
    durations = Durations()
    for name, at in (("first", 10.0), ("second", 10.9)):
        durations.add_example("orders", 0.2, at, name.__str__)
    durations.add_example("orders", 0.3, 10.9, "of another bucket".__str__)
    found = durations.of("orders")
    assert found is not None
    assert {one[0] for one in found.exemplars if one} == {"first", "of another bucket"}


def test_processes_add_up_and_of_two_examples_the_newer_stays() -> None:
    def histogram(count: int, example: tuple[str, float, float] | None) -> Histogram:
        return Histogram((1.0,), (count, 0), 0.5 * count, (example, None))

    mine = [
        Family("requests", "-", "counter", ("route",), {("a",): 1.0, ("b",): 2.0}),
        Family("silence", "-", "gauge", (), {(): 3.0}, "max"),
        Family("ready", "-", "gauge", (), {(): 1.0}, "min"),
        Family("seconds", "-", "histogram", (), {(): histogram(1, ("old", 0.5, 10.0))}),
    ]
    theirs = [
        Family("requests", "-", "counter", ("route",), {("b",): 5.0, ("c",): 1.0}),
        Family("silence", "-", "gauge", (), {(): 1.0}, "max"),
        Family("ready", "-", "gauge", (), {(): 0.0}, "min"),
        Family("seconds", "-", "histogram", (), {(): histogram(2, ("new", 0.5, 11.0))}),
    ]
    found = {family.name: family.values for family in added_up([mine, theirs])}
    assert found == {
        "requests": {("a",): 1.0, ("b",): 7.0, ("c",): 1.0},
        "silence": {(): 3.0},
        "ready": {(): 0.0},
        "seconds": {(): Histogram((1.0,), (3, 0), 1.5, (("new", 0.5, 11.0), None))},
    }


def test_a_family_comes_back_as_it_was_packed() -> None:
    values = {("a",): Histogram((1.0,), (1, 0), 0.5, (("trace", 0.5, 10.0), None))}
    family = Family("seconds", "-", "histogram", ("upstream",), values)
    assert Family.unpacked(family.packed()) == family

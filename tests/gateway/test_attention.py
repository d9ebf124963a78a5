"""Who is told of and who hangs, by a clock that the test moves."""

from datetime import timedelta

from gateway.cli.attention import Attention


def test_who_is_silent_is_told_of_once_and_then_hangs() -> None:
    attention = Attention(timedelta(seconds=20))
    for pid in (1, 2):
        attention.hear(pid, 0.0)
    found = {}
    for now in range(1, 22):
        attention.hear(2, float(now))
        found[now] = attention.look(float(now))
    assert {now: each for now, each in found.items() if each} == {
        5: [(1, "silent", 5.0)],
        20: [(1, "hangs", 20.0)],
        21: [(1, "hangs", 21.0)],
    }


def test_who_is_heard_again_is_told_of_again() -> None:
    attention = Attention(timedelta(seconds=20))
    attention.hear(1, 0.0)
    assert attention.look(4.9) == []
    assert attention.look(9.0) == [(1, "silent", 9.0)]
    attention.hear(1, 10.0)
    assert attention.look(14.0) == []
    assert attention.look(15.0) == [(1, "silent", 5.0)]


def test_nobody_was_silent_while_we_stood_still_ourselves() -> None:
    attention = Attention(timedelta(seconds=20))
    attention.hear(1, 0.0)
    assert attention.look(1.0) == []
    assert attention.look(100.0) == []
    assert attention.look(104.0) == []
    assert attention.look(105.0) == [(1, "silent", 5.0)]


def test_who_has_ended_is_not_waited_for() -> None:
    attention = Attention(timedelta(seconds=20))
    attention.hear(1, 0.0)
    attention.forget(1)
    assert attention.look(1.0) == []
    assert attention.look(3.0) == []

"""The bench of what takes effect everywhere: each bar is missed by what is just beyond it, and by nothing else."""

from dataclasses import replace

from everywhere_report import Counted, Delays, Found, Loaded, Through, as_json, markdown, missed

MET = Found(
    delays=(Delays("revoked token", (0.2,) * 999 + (0.9,)),),
    through=Through(limit=60, processes=8, asked=240, passed=(60, 118)),
    counted=Counted(200, {400: 200}, 200, 200),
    load=Loaded(asked=1000.0, rate=999.0, p99=4.0, failed=0, cpu=0.59),
)


def test_what_is_at_its_bars_misses_none() -> None:
    assert MET.through.documented == 118  # 60 + 7 * 67 / 8, whole requests
    assert missed(MET) == []


def test_one_of_a_thousand_may_take_longer() -> None:
    slow = Delays("revoked token", (0.2,) * 999 + (3.0,))
    assert slow.at(0.999) == 0.2
    assert missed(replace(MET, delays=(slow,))) == []
    slower = Delays("revoked token", (0.2,) * 998 + (1.0, 3.0))
    assert missed(replace(MET, delays=(slower,))) == ["revoked token: p99.9 is 1.00 s, not below 1"]


def test_each_bar_is_missed_by_itself() -> None:
    assert missed(replace(MET, through=replace(MET.through, passed=(60, 119)))) == [
        "a limit of 60 let 119 through, documented are 118"
    ]
    assert missed(replace(MET, counted=Counted(200, {400: 200}, 199, 200))) == [
        "200 wrong passwords are 199 in the counters of accounts"
    ]
    assert missed(replace(MET, counted=Counted(200, {400: 199, 503: 1}, 200, 200))) == [
        "1 wrong passwords were answered 503"
    ]
    assert missed(replace(MET, load=replace(MET.load, failed=1))) == ["1 requests of the load failed"]
    assert missed(replace(MET, load=replace(MET.load, cpu=0.6))) == [
        "60% of the CPUs were used, not below 60%: lower --rate"
    ]


def test_the_table_has_the_longest_of_each_kind() -> None:
    told = markdown(MET, {"CPU": "some"})
    assert "| revoked token | 1,000 | 200 | 200 | 200 | 900 |" in told.splitlines()
    assert "let through: 60, 118; documented are 118 at the worst" in told
    assert as_json(MET, {})["delays"]["revoked token"][-1] == 0.9

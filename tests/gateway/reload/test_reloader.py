"""Reloading takes a configuration whole or not at all, and says what it did."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.reload.reloader import Kept, Reloaded, Reloader
from gateway.settings import LIVE, Settings, change, load

BASE = """
public_url: https://auth.example.com
api_hosts: [api.example.com]
upstreams:
  orders: {targets: ["http://orders:8000"], audience: "https://api.example.com/orders"}
routes:
  - {name: read, match: {path: /orders/**}, require: {scopes: [a]}, upstream: orders}
"""


class House:
    """A configuration file, and what was taken of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.write_text(BASE)
        self.taken: list[Settings] = []
        self.reloader = Reloader(path, self._load, load(path, {}), self._prepare)
        self.loads = 0
        self.while_loading: Callable[[], object] = lambda: None

    def _load(self, path: Path | None) -> Settings:
        self.loads += 1
        settings = load(path, {})
        self.while_loading()
        return settings

    def _prepare(self, settings: Settings) -> Callable[[], None]:
        return lambda: self.taken.append(settings)

    async def says(self, text: str) -> Reloaded | Kept:
        self.path.write_text(text)
        return await self.reloader.reload("test")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "yett.yaml")


async def test_another_rule_is_taken_and_its_digest_told(house: House) -> None:
    before = house.reloader.running.digest
    with capture_logs() as told:
        done = await house.says(BASE.replace("scopes: [a]", "scopes: [b]"))
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == (("routes",), ())
    assert done.digest == house.taken[0].digest != before
    assert [(line["event"], line["digest"], line["before"]) for line in told] == [
        ("config_reloaded", done.digest, before)
    ]


async def test_every_problem_is_told_with_its_place_and_nothing_is_taken(house: House) -> None:
    broken = BASE.replace("[a]", "[]").replace("/orders/**", "orders") + "limits: {pages: often}\n"
    with capture_logs() as told:
        kept = await house.says(broken)
    assert isinstance(kept, Kept)
    assert house.taken == []
    assert kept.digest == house.reloader.running.digest
    assert [(problem.line, problem.field) for problem in kept.problems] == [
        (7, "routes[0].require.scopes"),
        (8, "limits.pages"),
    ]
    assert told[0]["event"] == "config_refused"
    assert told[0]["problems"] == [str(problem) for problem in kept.problems]


async def test_what_needs_a_restart_is_named_and_the_rest_is_taken(house: House) -> None:
    changed = BASE.replace("[a]", "[b]") + "listen: 127.0.0.1:9999\nhashing: {iterations: 3}\n"
    with capture_logs() as told:
        done = await house.says(changed)
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == (("routes",), ("hashing", "listen"))
    assert house.taken[0].listen == house.reloader.running.listen == load(None, {"YETT_PUBLIC_URL": "https://a"}).listen
    assert told[-1] == {"event": "config_needs_restart", "log_level": "warning", "settings": ["hashing", "listen"]}
    again = await house.says(changed)
    assert isinstance(again, Reloaded)
    assert (again.taken, again.restart) == ((), ("hashing", "listen"))


async def test_of_a_section_that_is_live_what_is_room_in_memory_waits(house: House) -> None:
    done = await house.says(BASE + "limits: {pages: 7/minute, counters: 2000}\n")
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == (("limits",), ("limits.counters",))
    assert (house.taken[0].limits.pages, house.taken[0].limits.counters) == ("7/minute", 262_144)
    done = await house.says(BASE + "limits: {pages: 7/minute, counters: 2001}\n")
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == ((), ("limits.counters",))


async def test_what_would_not_go_together_with_what_has_to_stay_is_refused_whole(house: House) -> None:
    moved = BASE.replace("auth.example.com", "login.example.com").replace("[api.", "[auth.")
    assert load_text(house, moved)
    kept = await house.says(moved)
    assert isinstance(kept, Kept)
    assert kept.problems[0].field == "api_hosts[0]"
    assert "as long as public_url waits for a restart" in kept.problems[0].message
    assert house.taken == []


def load_text(house: House, text: str) -> Settings:
    house.path.write_text(text)
    return load(house.path, {})


async def test_a_file_that_is_written_while_it_is_read_is_read_again(house: House) -> None:
    later = BASE.replace("[a]", "[the-later-one]")
    house.while_loading = lambda: house.path.write_text(later) if house.loads == 1 else None
    done = await house.says(BASE.replace("[a]", "[b]"))
    assert isinstance(done, Reloaded)
    assert house.loads == 2
    assert house.taken[0].digest == load(house.path, {}).digest


async def test_a_file_that_is_written_all_the_time_is_refused(house: House) -> None:
    house.while_loading = lambda: house.path.write_text(BASE + "#" * house.loads)
    kept = await house.says(BASE.replace("[a]", "[b]"))
    assert isinstance(kept, Kept)
    assert "is being written" in str(kept.problems[0])


async def test_reloads_come_one_after_the_other(house: House) -> None:
    house.path.write_text(BASE.replace("[a]", "[b]"))
    both = await asyncio.gather(house.reloader.reload("one"), house.reloader.reload("two"))
    assert [done.taken for done in both if isinstance(done, Reloaded)] == [("routes",), ()]


async def test_a_file_that_is_gone_is_a_problem(house: House) -> None:
    house.path.unlink()
    kept = await house.reloader.reload("test")
    assert isinstance(kept, Kept)
    assert "cannot be read" in str(kept.problems[0])


TLS = BASE + "tls: {certificates: [{certificate_file: a.pem, key_file: a.key}], hsts: 1d}\n"


@pytest.mark.parametrize("edit", [("a.pem", "b.pem"), ("1d", "2d")])
async def test_what_a_listener_with_tls_shows_is_taken(house: House, edit: tuple[str, str]) -> None:
    house.reloader.running = load_text(house, TLS)
    done = await house.says(TLS.replace(*edit))
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == (("tls",), ())


@pytest.mark.parametrize(("before", "after"), [(BASE, TLS), (TLS, BASE)])
async def test_whether_a_listener_speaks_tls_waits_for_a_restart(house: House, before: str, after: str) -> None:
    house.reloader.running = load_text(house, before)
    done = await house.says(after.replace("[a]", "[b]"))
    assert isinstance(done, Reloaded)
    assert (done.taken, done.restart) == (("routes",), ("tls",))
    assert house.taken[0].tls == house.reloader.running.tls == load_text(house, before).tls


def test_what_is_live_is_a_setting() -> None:
    assert set(Settings.model_fields) >= LIVE
    assert {"listen", "database_url", "public_url", "data_dir", "hashing", "master_key_file"}.isdisjoint(LIVE)


async def test_a_bug_keeps_everything_as_it_is_and_is_told(house: House) -> None:
    def fail() -> None:
        raise LookupError("unheard of")

    house.while_loading = fail
    with capture_logs() as told:
        kept = await house.says(BASE.replace("[a]", "[b]"))
    assert isinstance(kept, Kept)
    assert [line["event"] for line in told] == ["config_reload_failed", "config_refused"]
    assert house.taken == []


async def test_a_file_that_was_emptied_is_refused_though_the_environment_has_what_is_required(tmp_path: Path) -> None:
    """As by a disk that was full when it was written: no route of it would be left."""
    path, environ = tmp_path / "yett.yaml", {"YETT_PUBLIC_URL": "https://auth.example.com"}
    path.write_text(BASE)
    reloader = Reloader(path, lambda file: load(file, environ), load(path, environ), lambda _: lambda: None)
    path.write_text("")
    kept = await reloader.reload("test")
    assert isinstance(kept, Kept)
    assert "is empty" in str(kept.problems[0])
    assert reloader.running.routes


async def test_what_fails_while_it_is_taken_is_told_and_the_next_one_is_taken(house: House) -> None:
    fails = [True, False]

    def take() -> None:
        if fails.pop(0):
            raise LookupError("unheard of")

    house.reloader._prepare = lambda _: take
    with capture_logs() as told:
        kept = await house.says(BASE.replace("[a]", "[b]"))
    assert isinstance(kept, Kept)
    assert "in part" in str(kept.problems[0])
    assert [line["event"] for line in told] == ["config_reload_failed", "config_refused"]
    assert isinstance(await house.says(BASE.replace("[a]", "[c]")), Reloaded)


async def test_nothing_of_a_configuration_is_read_or_compared_on_the_event_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes together is found out anew where something waits for a restart, for all routes that there are."""
    threads: list[bool] = []
    here = threading.current_thread()

    def note(*arguments: Any, **named: Any) -> Any:
        threads.append(threading.current_thread() is here)
        return change(*arguments, **named)

    monkeypatch.setattr("gateway.reload.reloader.change", note)
    house.while_loading = lambda: threads.append(threading.current_thread() is here)
    assert isinstance(await house.says(BASE + "listen: 127.0.0.1:9999\n"), Reloaded)
    assert threads == [False, False]

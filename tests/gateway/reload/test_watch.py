"""A file that has changed is taken up once, and not before it is whole."""

import os
from pathlib import Path

import pytest

from gateway.reload.fingerprint import fingerprint
from gateway.reload.watch import Watch


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []
        self.watch = Watch(path, fingerprint(path), self._changed)

    async def _changed(self) -> None:
        self.found.append(self.path.read_text() if self.path.exists() else "gone")

    async def look(self, times: int = 1) -> list[str]:
        for _ in range(times):
            await self.watch.look()
        return self.found


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    path = tmp_path / "yett.yaml"
    path.write_text("one")
    return Watched(path)


async def test_a_file_that_stays_as_it_is_is_left_alone(watched: Watched) -> None:
    assert await watched.look(5) == []


async def test_a_change_is_taken_up_at_the_second_look_that_sees_it_and_once(watched: Watched) -> None:
    watched.path.write_text("two")
    assert await watched.look(1) == []
    assert await watched.look(1) == ["two"]
    assert await watched.look(5) == ["two"]


async def test_a_file_that_is_being_written_is_waited_for(watched: Watched) -> None:
    with watched.path.open("w") as file:
        for piece in ("routes:", " [", "]"):
            file.write(piece)
            file.flush()
            assert await watched.look(1) == []
    assert await watched.look(2) == ["routes: []"]


async def test_another_file_of_the_same_size_and_time_renamed_into_its_place_is_a_change(watched: Watched) -> None:
    before = watched.path.stat()
    other = watched.path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(watched.path)
    assert await watched.look(2) == ["two"]


async def test_the_same_size_written_in_place_with_its_time_set_back_is_a_change(watched: Watched) -> None:
    before = watched.path.stat()
    while watched.path.stat().st_ctime_ns == before.st_ctime_ns:  # the file system's clock ticks slowly
        watched.path.write_text("two")
        os.utime(watched.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await watched.look(2) == ["two"]


async def test_a_config_map_that_is_swapped_by_its_link_is_a_change(tmp_path: Path) -> None:
    """Kubernetes: yett.yaml -> ..data/yett.yaml, and ..data -> a folder that is replaced whole."""
    for name, text in (("..1", "one"), ("..2", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "yett.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "yett.yaml").symlink_to("..data/yett.yaml")
    watched = Watched(tmp_path / "yett.yaml")
    assert await watched.look(2) == []
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert await watched.look(2) == ["two"]


async def test_a_file_that_is_gone_for_a_moment_is_no_change_and_one_that_stays_away_is(watched: Watched) -> None:
    aside = watched.path.rename(watched.path.with_name("aside"))
    assert await watched.look(1) == []
    aside.rename(watched.path)  # which changes the time of its status, so it is looked at again
    assert await watched.look(2) == ["one"]
    watched.path.unlink()
    assert await watched.look(5) == ["one", "gone"]


async def test_it_looks_every_second(watched: Watched) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            watched.path.write_text("two")
        if len(pauses) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await watched.watch.run(pause)
    assert watched.found == ["two"]
    assert set(pauses) == {1.0}

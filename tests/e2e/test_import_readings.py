"""`yett user import` reads its file twice: what cannot be, or is another one the second time, is no success."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import environment
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation

_ACME = ("--tenant", "acme")
_CUT_AFTER_THE_CHECK = """\
import sys
from gateway.cli import main, user_import

check = user_import.check

async def and_then_cut(installation, tenant, source, *others):
    checked = await check(installation, tenant, source, *others)
    source.path.write_text("")
    return checked

user_import.check = and_then_cut
main.main(args=sys.argv[1:], prog_name="yett")
"""


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """One with a user in it, whose end is there already: nobody waits for more."""
    path = tmp_path / "users.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b'{"name": "gerda"}\n')
    yield path
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_pipe_is_refused(here: Installation, pipe: Path, more: tuple[str, ...]) -> None:
    result = here.run("user", "import", *_ACME, pipe, *more)
    says = f"yett: {pipe} is no regular file: what is imported is read twice, so make a file of it first\n"
    assert (result.code, result.out, result.err) == (1, "", says)


def test_a_file_that_has_become_shorter_is_refused_and_goes_on_once_it_is_whole(
    here: Installation, tmp_path: Path
) -> None:
    file, whole = tmp_path / "users.jsonl", '{"name": "hugo"}\n{"name": "ida"}\n'
    file.write_text(whole, encoding="utf-8")
    called = [sys.executable, "-c", _CUT_AFTER_THE_CHECK, "user", "import", *_ACME, "--config", str(here.config)]
    cut = subprocess.run(
        [*called, str(file)], env=environment(here.settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert (cut.returncode, cut.stdout) == (1, "")
    assert f"{file} has fewer users than when it was checked. 0 of 2 are there: take them out with --undo" in cut.stderr
    import_id = cut.stderr.rpartition("--resume ")[2].split()[0]
    file.write_text(whole, encoding="utf-8")
    done = here.run("user", "import", *_ACME, file, "--resume", import_id, "--json")
    assert json.loads(done.out)["users"] == 2

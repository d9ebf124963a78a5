"""Completion in shells: bash for real, the others by what their scripts say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main


def script(shell: str) -> str:
    shown = CliRunner().invoke(main, ["completion", shell])
    assert shown.exit_code == 0, shown.output
    return shown.output


def completed(words: list[str], tmp_path: Path) -> set[str]:
    """What bash offers behind these words."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "yett.bash").write_text(script("bash"), encoding="utf-8")
    ask = (
        f"source {tmp_path / 'yett.bash'}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        '_yett_completion yett; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [bash, "--norc", "-c", ask], env={"PATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_values(tmp_path: Path) -> None:
    assert {"tenant", "doctor", "completion"} <= completed(["yett", "''"], tmp_path)
    assert completed(["yett", "doct"], tmp_path) == {"doctor"}
    assert completed(["yett", "doctor", "--off"], tmp_path) == {"--offline"}
    assert completed(["yett", "completion", "f"], tmp_path) == {"fish"}


@pytest.mark.parametrize(("shell", "words"), [("zsh", "#compdef yett"), ("fish", "complete --no-files --command yett")])
def test_the_other_shells_scripts_are_theirs(shell: str, words: str) -> None:
    said = script(shell)
    assert words in said
    assert f"_YETT_COMPLETE={shell}_complete" in said


def test_another_shell_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2

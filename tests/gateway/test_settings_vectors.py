"""Every file in ``vectors/config_errors`` is refused with exactly the problems that its ``# expect:`` lines name."""

from pathlib import Path

import pytest

from gateway.settings import ConfigError, load

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "config_errors").glob("*.yaml"))
EXPECT = "# expect: "


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 50


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: path.stem)
def test_bad_file_is_refused_with_every_problem_and_its_line(vector: Path) -> None:
    lines = vector.read_text().splitlines()
    expected = [line.removeprefix(EXPECT) for line in lines if line.startswith(EXPECT)]

    with pytest.raises(ConfigError) as raised:
        load(vector, {})

    assert [str(problem).removeprefix(f"{vector}:") for problem in raised.value.problems] == expected


@pytest.mark.parametrize("vector", VECTORS, ids=lambda path: path.stem)
def test_no_message_repeats_a_password(vector: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(vector, {})

    assert "hunter2" not in str(raised.value) + repr(raised.value)

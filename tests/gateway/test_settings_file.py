"""The YAML dialect: what is read, what stops the reading, and that nothing in a file can exhaust the process."""

import string
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import ConfigError
from gateway.settings.config_file import MAX_BYTES, parse, read


def values(text: str) -> dict[str, object]:
    file = parse(text.encode(), "test.yaml")
    assert file.problems == ()
    return file.values


def refusal(raw: bytes) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(raw, "test.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "On", "NO", "1:30", "0x10", "1_000", "2026-01-01"]
)
def test_words_that_yaml_1_1_reads_as_something_else_are_text(word: str) -> None:
    assert values(f"a: {word}\n{word}: a") == {"a": word, word: "a"}


def test_only_true_and_false_are_booleans_and_keys_are_text() -> None:
    assert values("a: true\nb: FALSE\ntrue: 1\n1: 2\nnull: 3") == {"a": True, "b": False, "true": 1, "1": 2, "null": 3}


def test_numbers_are_numbers_and_quoted_numbers_text() -> None:
    assert values("a: 7\nb: '7'\nc: -7\nd: 1.5\ne: 007") == {"a": 7, "b": "7", "c": -7, "d": 1.5, "e": "007"}


def test_block_scalars_are_text() -> None:
    assert values("a: |\n  true\nb: >-\n  7\n") == {"a": "true\n", "b": "7"}


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert values("") == values("# nothing\n") == values("---\n") == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "test.yaml").values == {"a": 1}


def test_an_entry_stands_on_the_line_of_its_key_or_item() -> None:
    lines = parse(b"a:\n  b:\n    - 1\n    - c: 2\n      d:\n        3\n", "test.yaml").lines

    assert lines[("a",)] == 1
    assert lines[("a", "b")] == 2
    assert lines[("a", "b", 1)] == 4
    assert lines[("a", "b", 1, "d")] == 5


def test_a_file_that_is_not_utf_8_is_refused_with_its_line() -> None:
    assert "test.yaml:2: is not UTF-8" in refusal(b"a: 1\nb: \xff\n")


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 10))

    with pytest.raises(ConfigError, match="is larger than 4 MiB"):
        read(path)


def test_a_missing_file_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_an_alias_as_a_key_is_refused() -> None:
    assert "a key must be text" in refusal(b"a: &x b\n*x : c\n")


def test_a_million_brackets_are_refused_at_once() -> None:
    began = time.process_time()

    assert "nest" in refusal(b"a: " + b"[" * 1_000_000)  # libyaml's own bound, or ours
    assert "nested deeper" in refusal(b"".join(b" " * n + b"a:\n" for n in range(1_000)))
    assert time.process_time() - began < 5


def test_a_bomb_of_aliases_is_read_in_the_size_of_the_file() -> None:
    rows = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 30)]

    file = parse("\n".join(["k0: &k0 [1]", *rows]).encode(), "test.yaml")

    assert len(file.problems) == 30 + 29 * 9


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(ConfigError):
        assert isinstance(parse(raw, "test.yaml").values, dict)


@given(st.text(alphabet="{}[]&*!|>-?:,#'\"% \n\tab1", max_size=80))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert isinstance(parse(text.encode(), "test.yaml").values, dict)


_SCALARS = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(string.printable, max_size=20)
_DOCUMENTS = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
)


@given(st.dictionaries(st.text("abc", max_size=3), _DOCUMENTS, max_size=4))
def test_what_a_yaml_writer_writes_is_read_back(document: dict[str, object]) -> None:
    class Quoting(yaml.SafeDumper):
        """Every text in quotes, since an unquoted one may read as a number; no anchors for what stands there twice."""

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - its hook
            return True

    Quoting.add_representer(str, lambda dumper, s: dumper.represent_scalar("tag:yaml.org,2002:str", s, style='"'))

    assert values(yaml.dump(document, Dumper=Quoting)) == document

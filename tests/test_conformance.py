"""The conformance suite: every row names a test that exists, and docs/conformance.md is what the rows say.

``python -m tests.test_conformance`` writes the page anew.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "tests" / "vectors" / "conformance.yaml"
PAGE = ROOT / "docs" / "conformance.md"
WANTED = (
    *(f"RFC {number}" for number in (6749, 6750, 7009, 7523, 7591, 7636, 7662, 8414, 8628, 8693, 8707)),
    *(f"RFC {number}" for number in (9068, 9126, 9207, 9449, 9470, 9700, 9728)),
    "OpenID Connect Core 1.0",
    "OpenID Connect Discovery 1.0",
    "OpenID Connect RP-Initiated Logout 1.0",
    "OpenID Connect Back-Channel Logout 1.0",
)
_HEAD = """\
# Conformance

What the documents ask of an authorization server and an OpenID provider, and the test that holds us to it. Where there
is none, the reason stands in its place. Made from [the vectors](../tests/vectors/conformance.yaml);
a row whose test does not exist fails the tests. These are tests of our own: no certification of the OpenID Foundation
is claimed.
"""

Rows = Sequence[Mapping[str, str]]


@cache
def documents() -> Mapping[str, Rows]:
    """The rows of each document, in the order of the file."""
    found: Mapping[str, Rows] = yaml.safe_load(VECTORS.read_text(encoding="utf-8"))
    return found


@cache
def functions_in(path: str) -> frozenset[str]:
    """The names of the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def page() -> str:
    """docs/conformance.md."""
    parts = [_HEAD]
    for document, rows in documents().items():
        parts.append(f"\n## {document}\n\n| section | requirement | test, or why there is none |\n|---|---|---|\n")
        parts += [f"| {row['section']} | {_cell(row['requirement'])} | {_proof(row)} |\n" for row in rows]
    return "".join(parts)


def _proof(row: Mapping[str, str]) -> str:
    return f"`{row['test'].partition('[')[0]}`" if "test" in row else f"*{_cell(row['reason'])}*"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@pytest.mark.parametrize("document", WANTED)
def test_every_document_is_looked_at(document: str) -> None:
    assert documents().get(document), document


@pytest.mark.parametrize(
    ("document", "row"),
    [
        pytest.param(document, row, id=f"{document}-{row['section']}")
        for document, rows in documents().items()
        for row in rows
    ],
)
def test_a_row_has_a_test_that_exists_or_a_reason(document: str, row: Mapping[str, str]) -> None:
    assert set(row) in ({"section", "requirement", "test"}, {"section", "requirement", "reason"}), document
    assert all(isinstance(value, str) and value.strip() for value in row.values())
    if "test" in row:
        path, _, name = row["test"].partition("::")
        assert (ROOT / path).is_file(), path
        assert name.partition("[")[0] in functions_in(path), row["test"]


def test_no_requirement_stands_there_twice() -> None:
    for document, rows in documents().items():
        told = [(row["section"], row["requirement"]) for row in rows]
        assert len(told) == len(set(told)), document


def test_the_page_is_what_the_rows_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.test_conformance"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

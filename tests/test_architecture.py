"""The house keeps its shape: imports point down, files stay one idea, and nothing names the place where it was made."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("policies", "tenants", "gateway")
LONGEST = 300
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc", "kit"}

# Written in two halves, so that this file passes its own rule.
SPEAKS_OF_THE_WORKPLACE = tuple(
    one + two
    for one, two in (
        ("/work", "/"),
        ("/root", "/"),
        ("/home", "/"),
        ("/opt/", "pypi"),
        ("/opt/", "wheels"),
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("registry.", "npmjs"),
        ("deb.", "debian"),
        ("index", "-url="),
        ("--extra-", "index"),
        ("--index", "-url"),
        ("trusted", "-host"),
    )
)


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    """What is committed or about to be; in a source archive without git, every file that is not a build output."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        found = [ROOT / name for name in git.stdout.split("\0") if name]
    else:
        hidden = {".venv", ".git", "node_modules", "__pycache__", "build", "dist"}
        found = [path for path in ROOT.rglob("*") if not hidden & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def is_a_drawer(path: Path) -> bool:
    return not DRAWERS.isdisjoint(part.removesuffix(".py") for part in path.relative_to(ROOT).parts)


def words_of_the_workplace(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []  # a picture or an archive; names of hosts are written in text
    return [words for words in SPEAKS_OF_THE_WORKPLACE if words in text]


def imports_inside_functions(tree: ast.AST) -> Iterator[int]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def test_imports_keep_the_contracts() -> None:
    """As a process of its own: import-linter's disables every logger that there is."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_not_empty(package: str) -> None:
    assert any(named(path).startswith(f"{package}/") for path in modules())


def test_a_file_is_one_idea() -> None:
    """A longer one hides a second noun. A migration is one release's tables, and never edited once released."""
    lengths = {
        named(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules()
        if "versions" not in path.parts
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_module_is_a_drawer() -> None:
    drawers = {named(path) for path in modules() if is_a_drawer(path)}
    assert drawers == set(), "name it for what it holds"


def test_a_module_says_what_it_owns() -> None:
    silent = {named(path) for path in modules() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))}
    assert silent == set(), "no docstring"


def test_imports_stand_at_the_top_of_the_file() -> None:
    """An import cycle hides in a function's import."""
    found = {
        named(path): list(imports_inside_functions(ast.parse(path.read_text(encoding="utf-8")))) for path in modules()
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_policies_imports_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"policies"}
    for path in (ROOT / "policies").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    roots = {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=str(module), level=0):
                    roots = {module.split(".")[0]}
                case ast.ImportFrom() | ast.AsyncFunctionDef() | ast.Await():
                    pytest.fail(f"{named(path)}:{node.lineno}: policies is absolute in its imports and never async")
                case _:
                    continue
            assert roots <= allowed, f"{named(path)}:{node.lineno} imports {sorted(roots - allowed)}"


def test_a_function_level_import_is_seen() -> None:
    source = "def f():\n    if True:\n        import os\nasync def g():\n    from os import path\n"
    assert list(imports_inside_functions(ast.parse(source))) == [3, 5]


def test_no_file_names_a_package_host_or_the_place_where_it_was_made() -> None:
    found = {named(path): words_of_the_workplace(path) for path in tracked_files()}
    assert len(found) > len(modules())
    assert {name: said for name, said in found.items() if said} == {}

"""The compiled build: what it is made of exists, and is what runs where it is asked for (`make test-compiled`)."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.cli.build import build

ROOT = Path(__file__).resolve().parent.parent
ASKED_FOR = "compiled" if os.environ.get("YETT_TEST_COMPILED") == "1" else "pure"
TABLE = tomllib.loads((ROOT / "compiled" / "modules.toml").read_text(encoding="utf-8"))
MODULES = [name for group in TABLE.values() for name in group["modules"]]
SMALL = ("policies.path", "policies.pattern", "policies.segment")


def source(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def test_the_table_has_each_module_once_and_in_order() -> None:
    assert len(set(MODULES)) == len(MODULES)
    assert all(group["modules"] == sorted(group["modules"]) for group in TABLE.values())
    assert [module for module in MODULES if not source(module).is_file()] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_of_the_build_that_was_asked_for_and_has_the_names_of_its_source(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__file__ is not None
    assert build(loaded.__file__) == ASKED_FOR
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    named |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert {name for name in named if not hasattr(loaded, name)} == set()


def test_the_build_is_told_by_the_file_of_a_module() -> None:
    assert build() == ASKED_FOR
    assert build("/opt/yett/gateway/proxy/gate.py") == "pure"
    assert build("/opt/yett/gateway/proxy/gate.cpython-313-x86_64-linux-gnu.so") == "compiled"


def test_nothing_compiled_lies_beside_the_sources() -> None:
    """It would hide a module that was edited since."""
    found = [path for package in ("policies", "tenants", "gateway") for path in (ROOT / package).rglob("*.so")]
    assert [*found, *ROOT.glob("*.so")] == []


def test_no_compiled_module_needs_the_compiler_where_it_runs() -> None:
    """``mypy_extensions`` has the compiler's own words, and is not there."""
    imports = re.compile(r"^\s*(?:from|import) mypy", re.MULTILINE)
    assert [module for module in MODULES if imports.search(source(module).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("module", MODULES)
def test_no_compiled_module_awaits_in_a_finally(module: str) -> None:
    """mypyc 2.4 may lose the exception that passes through: a request that was cancelled went on [seen: plane]."""
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    within = [
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for last in node.finalbody
        for part in ast.walk(last)
    ]
    assert [part.lineno for part in within if isinstance(part, ast.Await | ast.AsyncWith | ast.AsyncFor)] == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few modules, compiled as fast as can be."""
    folder = tmp_path_factory.mktemp("compiled")
    chosen = [argument for module in SMALL for argument in ("--module", module)]
    command = [sys.executable, str(ROOT / "compiled" / "build.py"), str(folder), "--optimise", "0", *chosen]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_compiled_modules_pass_the_tests_of_their_sources(small: Path) -> None:
    for module in SMALL:
        assert list(small.glob(f"{module.replace('.', '/')}.*.so"))
    environment = {**os.environ, "PYTHONPATH": str(small), "PYTHONSAFEPATH": "1"}
    tests = [str(ROOT / "tests" / "policies" / name) for name in ("test_path.py",)]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "--import-mode=append", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    asked = "import policies.path; print(policies.path.__file__)"
    told = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith(".so")

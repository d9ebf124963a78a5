"""What is installed is what was locked, and the Makefile installs it in no other way."""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("runtime", "build", "dev")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PUBLIC_GOALS = ("demo", "test", "check", "load", "soak", "bench", "lock")

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^ ;]+)( ; (?P<marker>.+))?")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    requirement: Requirement
    version: str
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def applies(self) -> bool:
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def pins(lock: str) -> list[Pin]:
    """Every line of a lock; a line that is no pin with hashes (an index, a URL, an option) fails here."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    found = []
    for line in text.replace("\\\n", "").splitlines():
        requirement, *hashes = (part.strip() for part in line.split("--hash="))
        pin = _PIN.fullmatch(requirement)
        assert pin, f"requirements/{lock}.txt: {line[:80]}"
        assert hashes, f"{requirement} has no hash"
        assert all(_HASH.fullmatch(h) for h in hashes), f"{requirement} has something else than SHA-256"
        found.append(Pin(Requirement(requirement), pin["version"], tuple(hashes)))
    return found


def build_inputs() -> list[Requirement]:
    lines = (ROOT / "requirements" / "build.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split(" #")[0]) for line in lines if line and not line.startswith("#")]


def wanted(extra: str | None = None) -> list[Requirement]:
    written = (
        PROJECT["project"]["dependencies"] if extra is None else PROJECT["project"]["optional-dependencies"][extra]
    )
    return [r for r in map(Requirement, written) if r.name != "yett"]


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


# -- the lock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_pins_with_hashes_and_nothing_else(lock: str) -> None:
    assert pins(lock)


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("runtime", wanted()),
        ("dev", wanted()),
        ("dev", wanted("load")),
        ("dev", wanted("dev")),
        ("build", build_inputs()),
        ("dev", build_inputs()),
    ],
    ids=["runtime", "dev-runtime", "dev-load", "dev", "build", "dev-build"],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, requirements: list[Requirement]) -> None:
    locked = {pin.name: pin.version for pin in pins(lock) if pin.applies}
    for requirement in requirements:
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in requirements/{lock}.txt: make lock"
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: make lock"


def test_the_build_backend_comes_from_the_lock() -> None:
    inputs = {canonicalize_name(requirement.name) for requirement in build_inputs()}
    assert {canonicalize_name(name) for name in PROJECT["build-system"]["requires"]} <= inputs


@pytest.mark.parametrize("lock", ["runtime", "build"])
def test_all_locks_agree(lock: str) -> None:
    everything = {(pin.name, pin.version, pin.hashes) for pin in pins("dev")}
    # Not their markers: what the service wants on some platforms only, a tool may want on all.
    assert {(pin.name, pin.version, pin.hashes) for pin in pins(lock)} <= everything


def test_the_runtime_lock_holds_no_test_tool() -> None:
    runtime = {pin.name for pin in pins("runtime")}
    assert not runtime & {canonicalize_name(r.name) for r in [*wanted("dev"), *wanted("load")]}


def test_what_runs_here_is_what_was_locked() -> None:
    different = {
        pin.name: (importlib.metadata.version(pin.name), pin.version)
        for pin in pins("dev")
        if pin.applies and importlib.metadata.version(pin.name) != pin.version
    }
    assert not different


@pytest.mark.parametrize("folder", ["swagger", "clients"])
def test_a_lock_of_npm_has_an_integrity_for_each_package_and_no_address(folder: str) -> None:
    lock = json.loads((ROOT / "tests" / "e2e" / folder / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert {f"node_modules/{name}" for name in lock["packages"][""]["dependencies"]} <= set(packages)
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not [name for name, entry in packages.items() if "resolved" in entry]


# -- the Makefile -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", ["demo", "test", "check", "load", "soak", "bench", "install"])
def test_every_install_is_locked_or_fetches_nothing(goal: str, tmp_path: Path) -> None:
    planned = make("--dry-run", goal, f"VENV={tmp_path / 'venv'}")
    assert planned.returncode == 0, planned.stderr
    installs = [line for line in planned.stdout.splitlines() if " pip " in line and " install " in line]
    assert len(installs) == 3
    for line in installs:
        assert "--no-build-isolation" in line
        assert "--require-hashes" in line or "--no-index --no-deps" in line
        assert "--require-hashes" not in line or "--only-binary=:all:" in line


@pytest.mark.parametrize("folder", ["SWAGGER", "CLIENTS"])
def test_what_npm_installs_comes_from_the_lock_and_runs_no_script(folder: str, tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").touch()
    planned = make("--dry-run", "e2e-tools", f"{folder}={tmp_path}").stdout
    assert f"cd {tmp_path} && npm ci --ignore-scripts" in planned


def test_relocking_is_universal_hashed_and_without_an_index() -> None:
    planned = make("--dry-run", "lock").stdout
    compiles = [line for line in planned.splitlines() if " pip compile " in line]
    assert len(compiles) == len(LOCKS)
    for flag in ("--universal", "--python-version 3.11", "--generate-hashes", "--no-emit-index-url"):
        assert all(flag in line for line in compiles)


def wheel(folder: Path) -> tuple[str, str]:
    """A package as small as one can be. Returns its pin and its hash."""
    path = folder / "toy_gate-1.0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\nName: toy-gate\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    names = {"toy_gate.py": "", "toy_gate-1.0.dist-info/METADATA": metadata, "toy_gate-1.0.dist-info/WHEEL": kind}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in names.items():
            archive.writestr(name, text)
        archive.writestr("toy_gate-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return "toy-gate==1.0", hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_tampered_package_fails_the_install(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements" / "build.txt"
    pin, digest = wheel(tmp_path)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    goal = (".venv/.build", f"PYTHON={sys.executable}")

    flipped = ("0" if digest[0] != "0" else "1") + digest[1:]
    lock.write_text(f"{pin} --hash=sha256:{flipped}\n", encoding="utf-8")
    refused = make(*goal, cwd=tmp_path, **offline)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert make("--question", *goal, cwd=tmp_path).returncode == 1

    lock.write_text(f"{pin}\n", encoding="utf-8")
    unhashed = make(*goal, cwd=tmp_path, **offline)
    assert unhashed.returncode != 0
    assert "--require-hashes" in unhashed.stderr

    lock.write_text(f"{pin} --hash=sha256:{digest}\n", encoding="utf-8")
    assert make(*goal, cwd=tmp_path, **offline).returncode == 0
    assert make("--question", *goal, cwd=tmp_path).returncode == 0, "a second run installs again"
    os.utime(lock, (lock.stat().st_mtime + 60, lock.stat().st_mtime + 60))
    assert make("--question", *goal, cwd=tmp_path).returncode == 1, "a changed lock is not installed"


def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    old = tmp_path / "python3"
    pretend = "import sys; sys.version_info = (3, 9, 2); sys.version = '3.9.2 (old)'; exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{pretend}" "$2"\n', encoding="utf-8")
    old.chmod(0o755)
    told = make(".venv/bin/python", f"PYTHON={old}", cwd=tmp_path)
    assert told.returncode != 0
    assert "Yett needs Python 3.11 or later" in told.stderr
    assert "3.9.2" in told.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_missing_python_is_told_with_a_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    told = make(".venv/bin/python", "PYTHON=no-such-python", cwd=tmp_path)
    assert told.returncode != 0
    assert "No 'no-such-python' here. Yett needs Python 3.11 or later" in told.stderr


def test_plain_make_prints_every_goal() -> None:
    told = make().stdout
    assert [goal for goal in PUBLIC_GOALS if f"make {goal} " not in told] == []


def test_the_oldest_python_is_the_same_everywhere() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"


# -- continuous integration, and what it brings -----------------------------------------------------------------------


def test_continuous_integration_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "make test"
    subprocess.run(["bash", "-n", script], check=True)


def bring(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script on a machine whose user is not root and whose only program is ``here``."""
    for name, text in {"id": "echo 1000", "here": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(
        [shell, ROOT / ".ci" / "bring", *arguments],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_program_that_is_there_is_not_installed(tmp_path: Path) -> None:
    assert bring(tmp_path, "some-package", "why", "absent", "here").returncode == 0


def test_a_program_that_cannot_be_brought_is_told_with_a_sentence(tmp_path: Path) -> None:
    told = bring(tmp_path, "chromium", "the end-to-end tests drive it", "chromium")
    assert told.returncode == 1
    assert "Missing: chromium (the end-to-end tests drive it)" in told.stderr


# -- the documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "DECISIONS.md", "helm/README.md"]
)
def test_a_document_links_to_what_exists(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

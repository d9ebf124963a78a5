"""The image, without a container engine: what the Dockerfile copies and runs exists, and its last stage is bare."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("policies", "tenants", "gateway")
HEALTH_URL = "http://127.0.0.1:8081/livez"


@dataclass(slots=True)
class Stage:
    name: str
    image: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [argument for word, argument in self.instructions if word == keyword]

    def last(self, keyword: str) -> str:
        return self.all(keyword)[-1]


def stages() -> list[Stage]:
    found: list[Stage] = []
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, argument = line.strip().partition(" ")
        if word == "FROM":
            image, _, name = argument.partition(" AS ")
            found.append(Stage(name, image))
        elif word and found:
            found[-1].instructions.append((word, argument.strip()))
    return found


def commands(stage: Stage) -> Iterator[list[str]]:
    for run in stage.all("RUN"):
        for command in run.split("&&"):
            yield shlex.split(command)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the Dockerfile builds it: from the files it copies, with the backend that is installed."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE", *PACKAGES):
        subprocess.run(["cp", "-R", ROOT / name, source / name], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, str(out), str(source)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def shipped_files() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *PACKAGES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == shipped_files()
    assert any(name.startswith("tenants/migrations/") for name in inside)


def test_the_wheel_carries_the_command_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith(".dist-info/entry_points.txt"))
        assert "yett = gateway.cli.main:main" in archive.read(entry_points).decode()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_environment_of_the_image_runs_without_pip_and_without_writing(wheel: Path, tmp_path: Path) -> None:
    """The builder's steps, with the dependencies lent by this environment in place of a download."""
    environment = tmp_path / "yett"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    compile_all = [
        str(python),
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        str(environment / "lib"),
    ]
    subprocess.run(compile_all, check=True)
    before = sorted(environment.rglob("*"))
    here = next(path for path in sys.path if path.endswith("site-packages"))
    told = subprocess.run(
        [environment / "bin" / "yett", "serve", "--help"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "--config" in told.stdout
    assert sorted(environment.rglob("*")) == before
    assert not list(environment.rglob("pip"))


def test_there_is_a_stage_that_builds_and_one_that_runs() -> None:
    builder, final = stages()
    assert builder.name == "builder"
    assert builder.image == final.image, "the environment's interpreter is a link into this image"


def test_what_the_image_copies_is_in_the_repository_and_reaches_the_builder() -> None:
    admitted = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    sources = [part for copy in stages()[0].all("COPY") for part in copy.split()[:-1]]
    assert sources
    assert set(sources) == admitted
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_last_stage_copies_only_what_the_builder_made() -> None:
    builder, final = stages()
    assert final.all("COPY") == ["--from=builder /opt/yett /opt/yett"]
    assert ["python", "-m", "venv", "--without-pip", "/opt/yett"] in list(commands(builder))


def test_every_command_of_the_build_exists() -> None:
    for stage in stages():
        for program, *arguments in commands(stage):
            assert Path(program).name in {"python", "rm", "install"}
            if Path(program).name == "python":
                module = arguments[0] == "-m"
                assert importlib.util.find_spec(arguments[1]) if module else (ROOT / arguments[0]).is_file()


def test_the_image_installs_from_the_runtime_lock_or_fetches_nothing() -> None:
    builder, _ = stages()
    installs = [
        command for command in commands(builder) if {"pip"} & set(command) and {"install", "wheel"} & set(command)
    ]
    assert len(installs) == 4
    for command in installs:
        assert {"--require-hashes", "--only-binary=:all:"} <= set(command) or {"--no-index", "--no-deps"} <= set(
            command
        )
    into_the_image = [c for c in installs if "/opt/yett/bin/python" in c and "-r" in c]
    assert [c[c.index("-r") + 1] for c in into_the_image] == ["requirements/runtime.txt"]


def test_the_last_stage_has_no_tool_that_builds_or_installs() -> None:
    _, final = stages()
    assert final.image == "${PYTHON_IMAGE}"
    assert "ARG PYTHON_IMAGE=python:3.13-slim" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (run,) = final.all("RUN")
    assert "pip uninstall --yes" in run
    assert "ensurepip" in run
    assert not re.search(r"apt|gcc|build-essential|pip install|curl|wget", run)


def test_the_image_runs_as_a_number_that_is_not_root_on_a_read_only_root() -> None:
    _, final = stages()
    user, group = final.last("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(final.last("VOLUME")) == ["/var/lib/yett", "/tmp"]
    environment = " ".join(final.all("ENV"))
    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert "YETT_DATA=/var/lib/yett" in environment
    keywords = [word for word, _ in final.instructions]
    assert max(i for i, word in enumerate(keywords) if word in ("RUN", "COPY")) < keywords.index("USER")


def test_the_image_and_the_chart_agree_on_the_user() -> None:
    chart = (ROOT / "helm" / "templates" / "_security.tpl").read_text(encoding="utf-8")
    assert f"runAsUser: {stages()[-1].last('USER').split(':')[0]}\n" in chart


def test_the_image_starts_a_command_that_yett_has() -> None:
    _, final = stages()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert json.loads(final.last("ENTRYPOINT")) == list(scripts)
    command, *options = json.loads(final.last("CMD"))
    module, _, function = scripts["yett"].partition(":")
    told = subprocess.run(
        [sys.executable, "-c", f"from {module} import {function}; {function}()", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(option in told.stdout for option in options if option.startswith("--"))


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_believes_the_management_port(status: int, healthy: bool) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Nothing: a test's server has nobody to tell."""

    check = stages()[-1].last("HEALTHCHECK")
    program, option, code = json.loads(check[check.index("CMD") + 3 :])
    assert (program, option) == ("python", "-c")
    assert HEALTH_URL in code
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        here = code.replace(HEALTH_URL, f"http://127.0.0.1:{server.server_port}/livez")
        asked = subprocess.run([sys.executable, "-c", here], capture_output=True, check=False)
    assert (asked.returncode == 0) is healthy

"""The bill of materials: every runtime requirement is in it as it was locked, and it says what CycloneDX requires."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "runtime.txt"


def made(lock: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "sbom.py", lock, out], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    done = made(LOCK, out)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def test_it_has_what_cyclonedx_requires(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    assert bill["metadata"]["component"]["name"] == "yett"
    refs = [each["bom-ref"] for each in bill["components"]]
    assert len(refs) == len(set(refs))
    assert set(bill["dependencies"][0]["dependsOn"]) == set(refs)
    for each in bill["components"]:
        assert {"type", "name", "version", "purl"} <= each.keys()


def test_each_runtime_requirement_is_in_it_with_its_hashes(bill: dict[str, Any]) -> None:
    lock = LOCK.read_text(encoding="utf-8")
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==([^ ;\\\n]+)", lock, re.MULTILINE))
    assert len(locked) > 30
    assert {(each["name"], each["version"]) for each in bill["components"]} == locked
    hashes = [
        found["content"]
        for each in bill["components"]
        for reference in each["externalReferences"]
        for found in reference["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", lock))


def test_what_is_installed_says_its_licence(bill: dict[str, Any]) -> None:
    silent = {each["name"] for each in bill["components"] if not each.get("licenses") and "properties" not in each}
    assert silent == set()


def test_it_is_the_same_each_time(bill: dict[str, Any], tmp_path: Path) -> None:
    made(LOCK, tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == bill


def test_a_requirement_without_hashes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("click==8.5.0\n", encoding="utf-8")
    done = made(tmp_path / "lock.txt", tmp_path / "out.json")
    assert done.returncode != 0
    assert "no pin with hashes: click==8.5.0" in done.stderr


def test_the_image_carries_it() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert ".ci/sbom.py requirements/runtime.txt /opt/yett/share/sbom.cdx.json" in dockerfile
    assert "!.ci/sbom.py" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

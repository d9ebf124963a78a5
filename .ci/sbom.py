"""What the runtime is made of, as CycloneDX 1.6 JSON: each locked requirement with its version, hashes and licence.

    python .ci/sbom.py requirements/runtime.txt OUT.json

Versions and hashes are the lock's; the licence is what an installed package says of itself, so run it in the
environment that the lock was installed into. The same lock and environment give the same bytes.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]*?))? *\\?$"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One locked requirement; ``hashes`` are of all its archives."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]


def pinned(lock: str) -> Iterator[Pinned]:
    """What a lock names. Raises ValueError: a line that is no pin with hashes."""
    for block in re.split(r"\n(?=[^\s#])", lock.strip()):
        head, _, rest = block.partition("\n")
        if head.startswith("#"):
            continue
        found = _PINNED.fullmatch(head.strip())
        hashes = tuple(_HASH.findall(rest))
        if found is None or not hashes:
            raise ValueError(f"no pin with hashes: {head}")
        yield Pinned(found["name"], found["version"], found["marker"], hashes)


def licences(name: str) -> list[dict[str, Any]]:
    """An SPDX expression where the package has one, else the names that it gives; nothing where it is not installed."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return []
    if expression := told.get("License-Expression"):
        return [{"expression": expression}]
    names = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    own = (told.get("License") or "").strip()
    if not names and own and "\n" not in own:  # some put the whole text there
        names = [own]
    return [{"license": {"name": each}} for each in names]


def component(of: Pinned) -> dict[str, Any]:
    """As CycloneDX has it."""
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', of.name).lower()}@{of.version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": of.name,
        "version": of.version,
        "purl": purl,
        # An archive's own hash belongs to the archive, and a requirement has several: one for each platform.
        "externalReferences": [
            {
                "type": "distribution",
                "url": purl,
                "hashes": [{"alg": "SHA-256", "content": each} for each in of.hashes],
            }
        ],
    }
    if told := licences(of.name):
        found["licenses"] = told
    if of.marker:
        found["properties"] = [{"name": "yett:marker", "value": of.marker}]
    return found


def document(lock: str) -> dict[str, Any]:
    """The whole."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    itself = f"pkg:pypi/{project['name']}@{project['version']}"
    components = [component(each) for each in pinned(lock)]
    body = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, itself + body)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": project["name"],
                "version": project["version"],
                "purl": itself,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": components,
        "dependencies": [{"ref": itself, "dependsOn": [each["bom-ref"] for each in components]}],
    }


if __name__ == "__main__":
    lock_file, out = map(Path, sys.argv[1:])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document(lock_file.read_text(encoding="utf-8")), indent=1) + "\n", encoding="utf-8")

"""What the build backend asks before it makes a wheel: with ``YETT_COMPILE=1`` the compiled modules go into it, beside
their sources; without it, and in an editable install, it is pure Python.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGES = ("policies", "tenants", "gateway")


class CompiledModules(BuildHookInterface):  # type: ignore[type-arg]
    """Needs what requirements/compile.txt has, and a C compiler."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say so in the wheel's name: it is for this Python and this platform."""
        if os.environ.get("YETT_COMPILE") != "1" or version == "editable":
            return
        root = Path(self.root)
        folder = root / "build" / "wheel"
        build = [sys.executable, str(root / "compiled" / "build.py"), str(folder)]
        subprocess.run(build, check=True)  # noqa: S603 (a script of this repository)
        modules = [*folder.glob("*.so"), *(path for package in _PACKAGES for path in (folder / package).rglob("*.so"))]
        build_data["force_include"] |= {str(path): str(path.relative_to(folder)) for path in modules}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

"""Which build of the program runs: what is said of one whose hot modules were compiled (compiled/modules.toml)."""

from pathlib import Path
from typing import Literal

from gateway.proxy import gate


def build(file: str = gate.__file__) -> Literal["compiled", "pure"]:
    """``file`` is where a module that a compiled build compiles was loaded from."""
    return "pure" if Path(file).suffix == ".py" else "compiled"

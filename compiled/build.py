"""Compiles the modules of ``modules.toml`` into a copy of the packages: ``python compiled/build.py FOLDER``.

Nothing is ever written beside the sources, where a compiled module would hide one that was edited since. With that
folder first on ``PYTHONPATH``, Python takes every module from there, compiled where there is a compiled one. Needs mypy
(which brings mypyc), setuptools and a C compiler; fetches nothing.
"""

import argparse
import os
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("policies", "tenants", "gateway")
_TABLE = Path(__file__).with_name("modules.toml")
# Types are judged by `make check`. What is compiled is typed by itself and by the standard library: to C, an object of
# another package is an object, and without these mypy is done in a third of the time and needs none of them here.
_MYPY = ("--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--no-site-packages")


def listed() -> list[str]:
    """The names of all modules of the table."""
    with _TABLE.open("rb") as file:
        return [name for group in tomllib.load(file).values() for name in group["modules"]]


def copy(folder: Path) -> None:
    """Make the packages in ``folder`` what they are in the sources, and leave alone what is the same already."""
    for package in PACKAGES:
        wanted = set(_files(ROOT / package))
        for there in list(_files(folder / package)):
            if there not in wanted:
                (folder / package / there).unlink()
        for name in wanted:
            source, target = ROOT / package / name, folder / package / name
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".pyc", ".so"):
            yield path.relative_to(folder)


def compile_into(folder: Path, modules: Sequence[str], *, optimise: int) -> None:
    """Compile ``modules`` of the copy in ``folder``. Ends the process where a type or the compiler says no."""
    stale = [*folder.glob("*.so"), *(path for package in PACKAGES for path in (folder / package).rglob("*.so"))]
    for path in stale:
        path.unlink()
    os.chdir(folder)  # where mypy looks for modules, and setuptools puts what it makes
    sources = [f"{name.replace('.', '/')}.py" for name in modules]
    extensions = mypycify(
        [*_MYPY, *sources],
        opt_level=str(optimise),
        debug_level="0",
        group_name="yett",
    )
    for extension in extensions:  # what another compiler warns of is no reason to have no build
        extension.extra_compile_args = [option for option in extension.extra_compile_args if option != "-Werror"]
    setup(name="yett", packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", "--inplace"])


def main() -> None:
    """Copy, then compile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the copy is; made where it is not there")
    parser.add_argument("--module", action="append", help="only this one (may be repeated)")
    parser.add_argument("--optimise", type=int, choices=range(4), default=2, help="as gcc's -O (default: 2)")
    options = parser.parse_args()
    folder = options.folder.resolve()
    copy(folder)
    compile_into(folder, options.module or listed(), optimise=options.optimise)


if __name__ == "__main__":
    main()

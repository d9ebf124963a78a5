"""A file that a command writes: whole in its place, or as it was before."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

STDOUT = "-"


@contextmanager
def written_file(out: Path) -> Iterator[TextIO]:
    """Text for the file, put there when the block ends and thrown away where it fails; ``-`` is standard output.

    Raises:
        OSError: it cannot be written there.
    """
    if str(out) == STDOUT:
        yield sys.stdout
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)  # its user's alone
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        os.replace(name, out)
    except BaseException:
        os.unlink(name)
        raise

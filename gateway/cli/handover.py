"""The configuration that a supervisor accepted last, for the workers that run: in memory that they share.

A worker that read the file by itself might find another state of it, and those that run, and one that is started
later, would each have their own.
"""

import hashlib
import os
import pickle
import sys
import tempfile
from typing import Final

from gateway.settings import ConfigError, Problem, Settings

_DIGEST: Final = hashlib.sha256().digest_size
_TRIES: Final = 3


class Handover:
    """Made before the workers are, so that they inherit it. It has no name, so no other process reads it."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._descriptor = os.memfd_create("yett-configuration")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())

    def put(self, settings: Settings) -> None:
        """For the supervisor."""
        written = pickle.dumps(settings)
        written = hashlib.sha256(written).digest() + written
        os.ftruncate(self._descriptor, len(written))
        os.pwrite(self._descriptor, written, 0)

    def take(self) -> Settings:
        """For a worker: what was put there last.

        Raises:
            ConfigError: the supervisor is putting another one there. It tells the workers when it has.
        """
        for _ in range(_TRIES):
            read = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
            if hashlib.sha256(read[_DIGEST:]).digest() == read[:_DIGEST]:
                settings: Settings = pickle.loads(read[_DIGEST:])  # noqa: S301 - the process that forked us wrote it
                return settings
        raise ConfigError([Problem("supervisor", None, "", "is handing over another configuration")])

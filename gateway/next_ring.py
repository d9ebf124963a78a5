"""How a running process takes another ring of master keys: a new key is put into the file beside the old one, then made
the one that seals, and at the end the old one is taken away. Each of these is a reload, and no process is restarted.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.settings import ConfigError, Problem
from tenants.sealing import MasterKeyProblem, MasterKeys

_log = structlog.get_logger("yett.live")


def next_ring(running: MasterKeys, file: Path) -> Callable[[], None]:
    """Reads the file and changes nothing yet; what it answers does.

    Raises:
        ConfigError: the file cannot be read, or the key that seals now is not in it: what this process has sealed would
            not open any more.
    """
    try:
        found = MasterKeys.load(file)
    except MasterKeyProblem as error:
        raise ConfigError([Problem(str(file), None, "master_key_file", str(error))]) from error
    if not running.may_become(found):
        said = f"lacks the master key {running.active_id}, which seals now, or has another under its id"
        raise ConfigError([Problem(str(file), None, "master_key_file", said)])

    def take() -> None:
        before = running.ids
        running.take(found)
        if found.ids != before:
            _log.info("master_keys_changed", seals=found.active_id, ids=list(found.ids), before=list(before))

    return take

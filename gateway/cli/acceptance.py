"""What only shows when a configuration is taken, found out by a supervisor that does not serve: whether certificates
and files can be used. So it accepts nothing that its workers would have to refuse.
"""

import os
from collections.abc import Callable

from gateway import telemetry
from gateway.cli.listening import check_certificates
from gateway.data_plane import access_log_to_nowhere
from gateway.proxy.configured import upstreams_of
from gateway.settings import Settings


def prepared(running: Settings, wanted: Settings) -> Callable[[], None]:
    """What takes the part that is the supervisor's own: its log, which new workers inherit.

    Raises:
        ConfigError: a certificate or a file that is named anew cannot be used.
    """
    check_certificates(running, wanted)
    upstreams_of(wanted)
    if wanted.access_log.file != running.access_log.file:
        descriptor = access_log_to_nowhere().prepared(wanted.access_log.file)
        if descriptor is not None:
            os.close(descriptor)

    def take() -> None:
        if wanted.log != running.log:
            telemetry.configure(wanted.log)

    return take

"""What the configuration says of the listeners beside their addresses: what a connection may cost, and TLS."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from gateway.settings.section import Section
from gateway.settings.units import Duration, FilePath, Size, WholeNumber, between, sized, within

_KIB = 1024


def _auto(value: object) -> object:
    return None if value == "auto" else value


class ListenLimits(Section):
    """Bounds of one client connection, and of those of one address, on both listeners. Sizes are in bytes. How many the
    public listener takes in all follows from the limit of open files where ``connections`` is None.
    """

    connections: Annotated[Annotated[WholeNumber, between(32, 1_000_000)] | None, BeforeValidator(_auto)] = None
    connections_per_address: Annotated[WholeNumber, between(1, 1_000_000)] = 1_000
    header_time: Annotated[Duration, within("1s", "5m")] = timedelta(seconds=10)
    body_time: Annotated[Duration, within("1s", "1h")] = timedelta(seconds=10)
    idle_time: Annotated[Duration, within("1s", "1h")] = timedelta(seconds=60)
    send_time: Annotated[Duration, within("1s", "1h")] = timedelta(seconds=60)
    header_size: Annotated[Size, sized("4KiB", "1MiB")] = 32 * _KIB
    header_fields: Annotated[WholeNumber, between(20, 10_000)] = 100
    target_size: Annotated[Size, sized("1KiB", "512KiB")] = 8 * _KIB


class Certificate(Section):
    """A certificate with the chain behind it, and its private key, both PEM. Read at the start, not here."""

    certificate_file: FilePath
    key_file: FilePath


class ManagementTls(Section):
    """The certificates of a listener: the first is for clients that ask for no name. None: it speaks plain HTTP."""

    certificates: tuple[Certificate, ...] = ()


class ListenTls(ManagementTls):
    """Those of the public listener. ``hsts`` is how long browsers are to come by https only; zero is not at all."""

    hsts: Annotated[Duration, within("0s", "730d")] = timedelta(days=365)

    @property
    def hsts_seconds(self) -> int:
        """``hsts`` as the field says it."""
        return int(self.hsts.total_seconds())

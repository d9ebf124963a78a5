"""The collector that traces are sent to, as the file writes it."""

from datetime import timedelta
from typing import Annotated

from gateway.settings.section import Section
from gateway.settings.sink import BaseUrl
from gateway.settings.units import Duration, FilePath, Flag, Share, within


class Otlp(Section):
    """Off without an ``endpoint``, to which ``/v1/traces`` is added. ``sample`` is the share of the traces that begin
    here; ``timeout`` is for one batch. ``headers_file`` has the collector's own fields, one ``Name: value`` in a line.
    """

    endpoint: BaseUrl | None = None
    headers_file: FilePath | None = None
    ca_file: FilePath | None = None
    sample: Share = 0.1
    timeout: Annotated[Duration, within("1s", "1m")] = timedelta(seconds=10)
    unsafe_plain_http: Flag = False

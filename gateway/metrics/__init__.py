"""What is counted, and how it is told to Prometheus: the values on the hot path, those of other processes, the page."""

from gateway.metrics.board import Sheets
from gateway.metrics.family import Family, Histogram, added_up
from gateway.metrics.registry import Registry
from gateway.metrics.series import Counts, Durations

__all__ = ["Counts", "Durations", "Family", "Histogram", "Registry", "Sheets", "added_up"]

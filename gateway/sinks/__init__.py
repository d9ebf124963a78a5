"""Audit events to where security teams read them: files, syslog, webhooks, Splunk, Elasticsearch.

``deliverer`` reads the log and keeps the position, ``recorded`` makes records of events and checkpoints in the forms of
``record`` and ``ocsf``, a transmitter (``file``, ``syslog``, ``webhook``, ``splunk``, ``elasticsearch``) sends a batch
and says what was taken of it. Nothing here is awaited by a request, and nothing waits in memory but one batch for each
sink.
"""

from gateway.sinks.running import Sinks, running_sinks

__all__ = ["Sinks", "running_sinks"]

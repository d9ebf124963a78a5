"""From the configuration to the ways out: one transmitter for each sink, its secret and its certificates read."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from ipaddress import ip_network
from typing import assert_never

from gateway.outbound import Outbound
from gateway.settings import ConfigError, HostPort, Problem, Settings, Sink
from gateway.settings.sink import ElasticsearchSink, FileSink, HttpSink, SplunkSink, SyslogSink, WebhookSink
from gateway.settings.sink_checks import tls_of, webhook_keys
from gateway.settings.upstream import TlsProblem, tls_context
from gateway.sinks.elasticsearch import ElasticsearchTransmitter
from gateway.sinks.file import FileTransmitter
from gateway.sinks.ocsf_types import TYPES
from gateway.sinks.record import Transmitter
from gateway.sinks.recorded import wants
from gateway.sinks.renewed import Renewed
from gateway.sinks.splunk import SplunkTransmitter
from gateway.sinks.syslog import Receiver, SyslogTransmitter
from gateway.sinks.webhook import WebhookTransmitter

Clock = Callable[[], datetime]
# A sink is the operator's own word, unlike an address that a tenant names, and mostly in a private network.
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_JSON_ANSWER = 128 * 1024  # of 200 items some 20 KiB; it is parsed on the event loop, within a millisecond


def transmitters(settings: Settings, clock: Clock) -> Sequence[tuple[Sink, Transmitter]]:
    """All of them. May take a while: files are read.

    Raises:
        ConfigError: a type of event is none, or a file cannot be used any more.
    """
    problems: list[Problem] = []
    found: list[tuple[Sink, Transmitter]] = []
    for index, sink in enumerate(settings.sinks):
        for place, types in enumerate(sink.types):
            if not any(wants((types,), known) for known in TYPES):
                field = f"sinks[{index}].types[{place}]"
                problems.append(Problem(sink.name, None, field, f"there is no type of audit event {types}"))
        try:
            found.append((sink, _kept_new(sink, settings, clock)))
        except TlsProblem as problem:
            problems.append(Problem(sink.name, None, f"sinks[{index}].{problem.field}", str(problem)))
    if problems:
        raise ConfigError(problems)
    return found


def transmitter(sink: Sink, settings: Settings, clock: Clock) -> Transmitter:
    """The way to this one.

    Raises:
        TlsProblem: a file of certificates cannot be used.
    """
    held = settings.sink_secrets.get(sink.name)
    secret = None if held is None else held.get_secret_value()
    host = HostPort.parse(settings.public_url.partition("://")[2]).address
    match sink:
        case FileSink():
            return FileTransmitter(sink.path, fsync=sink.fsync == "batch")
        case SyslogSink():
            return SyslogTransmitter(_receiver(sink, host))
        case WebhookSink():
            return WebhookTransmitter(_outbound(sink), sink.url, webhook_keys(secret or ""), clock)
        case SplunkSink():
            return SplunkTransmitter(_outbound(sink, max_bytes=_JSON_ANSWER), sink, token=secret or "", host=host)
        case ElasticsearchSink():
            return ElasticsearchTransmitter(_outbound(sink, max_bytes=_JSON_ANSWER), sink, secret=secret)
        case other:
            assert_never(other)


def _kept_new(sink: Sink, settings: Settings, clock: Clock) -> Transmitter:
    make = partial(transmitter, sink, settings, clock)
    files = () if isinstance(sink, FileSink) else (sink.ca_file, sink.certificate_file, sink.key_file)
    named = [file for file in files if file is not None]
    return Renewed(sink.name, named, make) if named else make()


def _receiver(sink: SyslogSink, host: str) -> Receiver:
    context = tls_context(tls_of(sink))
    context.set_alpn_protocols([])  # it is no HTTP
    return Receiver(
        host=sink.address.address,
        port=sink.address.port or 0,
        tls=context,
        hostname=host,
        facility=sink.facility,
        timeout=sink.timeout,
    )


def _outbound(sink: HttpSink, *, max_bytes: int = 1024 * 1024) -> Outbound:
    return Outbound(_EVERYWHERE, timeout=sink.timeout, max_bytes=max_bytes, tls=tls_context(tls_of(sink)))

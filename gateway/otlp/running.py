"""The exporter of a running process: made of the configuration, at work from the first request until after the last."""

import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from ipaddress import ip_network

from gateway.jobs import Job, Jobs
from gateway.otlp.exporter import INTERVAL, Exporter
from gateway.otlp.wire import resource
from gateway.outbound import Outbound
from gateway.settings import ConfigError, Problem, Settings
from gateway.settings.otlp_checks import header_fields
from gateway.settings.upstream import Tls, TlsProblem, tls_context

# The collector is the operator's own word, unlike an address that a tenant names, and mostly in a private network.
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_LAST_SEND = 2.0  # seconds that the end of a process waits for the collector
_ANSWER = 64 * 1024


@asynccontextmanager
async def running_exporter(settings: Settings) -> AsyncIterator[Exporter | None]:
    """None where no collector is configured.

    Raises:
        ConfigError: a file cannot be used.
    """
    if settings.otlp.endpoint is None:
        yield None
        return
    exporter = _exporter(settings, settings.otlp.endpoint)
    jobs = Jobs([Job("otlp", INTERVAL, exporter.send, cut_off=True)], last_run=_LAST_SEND)
    jobs.start()
    try:
        yield exporter
    finally:
        await jobs.stop()
        await exporter.finish(_LAST_SEND)


def _exporter(settings: Settings, endpoint: str) -> Exporter:
    wanted = settings.otlp
    try:
        outbound = Outbound(
            _EVERYWHERE, timeout=wanted.timeout, max_bytes=_ANSWER, tls=tls_context(Tls(ca_file=wanted.ca_file))
        )
        headers = {} if wanted.headers_file is None else header_fields(wanted.headers_file)
    except TlsProblem as problem:
        raise ConfigError([Problem("otlp", None, f"otlp.{problem.field}", str(problem))]) from problem
    except ValueError as error:
        raise ConfigError([Problem("otlp", None, "otlp.headers_file", str(error))]) from error
    made, sender = version("yett"), _resource(version("yett"))
    return Exporter("traces", outbound, f"{endpoint}/v1/traces", headers=headers, sender=sender, version=made)


def _resource(made: str) -> bytes:
    """Each process is an instance of its own (OpenTelemetry's conventions for resources)."""
    return resource(
        {
            "service.name": "yett",
            "service.version": made,
            "service.instance.id": str(uuid.uuid4()),
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
    )

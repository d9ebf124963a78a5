"""Sinks as the file writes them: where audit events are sent to, one model for each kind. Their secrets stand apart, in
``sink_secrets``, so that they can come from a file or the environment.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from gateway.settings.addresses import HostPort
from gateway.settings.routing import ANY_TENANT, TenantName
from gateway.settings.section import Section
from gateway.settings.units import Duration, FilePath, Flag, Name, WholeNumber, between, within
from gateway.settings.web_address import WebAddress

EVERY_TYPE: Final = "*"
_TYPES = re.compile(r"\*|[a-z_]+(\.[a-z_]+)?|[a-z_]+\.\*")
_SYSLOG_PORT = 6514  # RFC 5425 section 4.1
_LOG_AUDIT = 13  # RFC 5424 section 6.2.1
# What may stand in a path of Elasticsearch without being escaped, and what it takes itself.
_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_PRINTABLE = re.compile(r"[!-~]{1,200}")


def _types(value: object) -> str:
    if isinstance(value, str) and _TYPES.fullmatch(value):
        return value
    raise ValueError('must be a type of audit event, as login.refused, a family of them, as login.*, or "*"')


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("~") or value.endswith("/"):
        raise ValueError("must be the path of a file (`~` is not expanded)")
    return Path(value)


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be an https address")
    WebAddress.parse(value)
    return value


def _base_url(value: object) -> str:
    url = _url(value)
    if "?" in url:
        raise ValueError("must be an https address without a query")
    return url.rstrip("/")


def _syslog_address(value: object) -> HostPort:
    at = HostPort.parse(value)
    if at.port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    return HostPort(at.host, at.port or _SYSLOG_PORT)


def _index(value: object) -> str:
    if isinstance(value, str) and _INDEX.fullmatch(value):
        return value
    raise ValueError("must be the name of an index or data stream: lower-case letters, digits, `.`, `_` and `-`")


def _username(value: object) -> str:
    if ":" in (text := _printable(value)):  # RFC 7617 section 2
        raise ValueError("must not have a colon")
    return text


def _printable(value: object) -> str:
    if isinstance(value, str) and _PRINTABLE.fullmatch(value):
        return value
    raise ValueError("must be printable ASCII without spaces")


Url = Annotated[str, BeforeValidator(_url)]
BaseUrl = Annotated[str, BeforeValidator(_base_url)]
Printable = Annotated[str, BeforeValidator(_printable)]
EventTypes = Annotated[str, BeforeValidator(_types)]


class AnySink(Section):
    """What each has: which events, in which form, from when on. ``timeout`` is for one batch; a tenant's checkpoints
    are at least ``checkpoint_interval`` apart.
    """

    name: Name
    format: Literal["yett", "ocsf"] = "yett"
    tenants: Annotated[tuple[TenantName, ...], Field(min_length=1)] = (ANY_TENANT,)
    types: Annotated[tuple[EventTypes, ...], Field(min_length=1)] = (EVERY_TYPE,)
    start: Literal["now", "beginning"] = "now"
    timeout: Annotated[Duration, within("1s", "2m")] = timedelta(seconds=10)
    checkpoint_interval: Annotated[Duration, within("1s", "1d")] = timedelta(minutes=1)


class FileSink(AnySink):
    """JSON lines in a file of the process that delivers."""

    kind: Literal["file"]
    path: Annotated[Path, BeforeValidator(_path)]
    fsync: Literal["batch", "off"] = "batch"


class OverTls(AnySink):
    """Whose certificates are believed (the system's, where no file is named), and which one is shown."""

    ca_file: FilePath | None = None
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None


class SyslogSink(OverTls):
    """RFC 5424 over TLS (RFC 5425)."""

    kind: Literal["syslog"]
    address: Annotated[HostPort, BeforeValidator(_syslog_address)]
    facility: Annotated[WholeNumber, between(0, 23)] = _LOG_AUDIT


class HttpSink(OverTls):
    """Where plain HTTP is not an oversight."""

    unsafe_plain_http: Flag = False


class WebhookSink(HttpSink):
    """Signed by Standard Webhooks with the sink's secret."""

    kind: Literal["webhook"]
    url: Url


class SplunkSink(HttpSink):
    """Splunk's HTTP Event Collector; the secret is its token. ``url`` is without the collector's path."""

    kind: Literal["splunk_hec"]
    url: BaseUrl
    index: Printable | None = None
    sourcetype: Printable = "yett:audit"
    gzip: Flag = False


class ElasticsearchSink(HttpSink):
    """``_bulk`` of Elasticsearch and OpenSearch. The secret is an API key, or with ``username`` a password; it may be
    absent."""

    kind: Literal["elasticsearch"]
    url: BaseUrl
    index: Annotated[str, BeforeValidator(_index)]
    username: Annotated[str, BeforeValidator(_username)] | None = None


KINDS: Final[dict[str, type[AnySink]]] = {
    "file": FileSink,
    "syslog": SyslogSink,
    "webhook": WebhookSink,
    "splunk_hec": SplunkSink,
    "elasticsearch": ElasticsearchSink,
}
TAGS: Final = {f"[{kind}]": model for kind, model in KINDS.items()}
"""As pydantic names them in the place of a problem; they stand in no message."""


def _known_kind(value: Any) -> Any:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    if kind not in KINDS:
        raise ValueError(f"must be a mapping with `kind`, one of {', '.join(KINDS)}")
    return value


def _tag(value: Any) -> str:
    return f"[{value['kind'] if isinstance(value, dict) else value.kind}]"


Sink = FileSink | SyslogSink | WebhookSink | SplunkSink | ElasticsearchSink
SinkEntry = Annotated[
    Annotated[
        Annotated[FileSink, Tag("[file]")]
        | Annotated[SyslogSink, Tag("[syslog]")]
        | Annotated[WebhookSink, Tag("[webhook]")]
        | Annotated[SplunkSink, Tag("[splunk_hec]")]
        | Annotated[ElasticsearchSink, Tag("[elasticsearch]")],
        Discriminator(_tag),
    ],
    BeforeValidator(_known_kind),
]

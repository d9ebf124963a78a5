"""Upstreams as the file writes them: targets, how they are known and asked for their health, and their bounds."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.settings.addresses import AbsoluteUri, Cidr, HostPort, TargetUrl, WebTarget, host_name
from gateway.settings.section import Section
from gateway.settings.units import Duration, FilePath, WholeNumber, between, within

Timeout = Annotated[Duration, within("1ms", "1h")]
Bound = Annotated[WholeNumber, between(1, 1_000_000)]
Count = Annotated[WholeNumber, between(1, 100)]


def _path(value: object) -> str:
    if isinstance(value, str) and value.startswith("/") and all("!" <= sign <= "~" and sign != "#" for sign in value):
        return value
    raise ValueError("must be a path that begins with `/`, as in /healthz, in ASCII and without a fragment")


def _server_name(value: object) -> str:
    try:
        if isinstance(value, str):
            return host_name(value).strip("[]")
    except ValueError:
        pass
    raise ValueError("must be a host name or an address")


class Target(Section):
    """One server. Written as its URL alone where it has nothing else to say."""

    url: TargetUrl
    weight: Annotated[WholeNumber, between(1, 1000)] = 1
    max_in_flight: Bound | None = None


class _UrlOrTarget:
    """A URL is a target with defaults, and what is wrong with it is said of the target itself."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: object, target: core_schema.ValidatorFunctionWrapHandler) -> object:
            return target(value) if isinstance(value, dict | Target) else Target(url=WebTarget.parse(value))

        return core_schema.no_info_wrap_validator_function(parse, handler.generate_schema(Target))


class Health(Section):
    """How a target is asked whether it is well. Written as its path alone where the rest is usual."""

    path: Annotated[str, BeforeValidator(_path)]
    host: HostPort | None = None
    interval: Annotated[Duration, within("500ms", "1h")] = timedelta(seconds=5)
    timeout: Annotated[Duration, within("1ms", "1m")] = timedelta(seconds=2)
    failures: Count = 3
    successes: Count = 2


class _PathOrHealth:
    """A path is a health check with defaults."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: object, health: core_schema.ValidatorFunctionWrapHandler) -> object:
            return health(value) if isinstance(value, dict | Health) else Health(path=_path(value))

        return core_schema.no_info_wrap_validator_function(parse, handler.generate_schema(Health))


class Tls(Section):
    """How targets with ``https://`` are known, by the system's authorities if by no ``ca_file``, and know us."""

    ca_file: FilePath | None = None
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: Annotated[str, BeforeValidator(_server_name)] | None = None


class Upstream(Section):
    """An API behind the gateway. ``total_timeout`` bounds a whole exchange; by default none does: bodies stream."""

    targets: Annotated[tuple[Annotated[Target, _UrlOrTarget], ...], Field(min_length=1)]
    audience: AbsoluteUri
    balance: Literal["least-in-flight", "round-robin", "hash-subject"] = "least-in-flight"
    health: Annotated[Health, _PathOrHealth] | None = None
    connect_timeout: Timeout = timedelta(seconds=2)
    read_timeout: Timeout = timedelta(seconds=30)
    first_byte_timeout: Timeout | None = None
    idle_timeout: Timeout | None = None
    total_timeout: Timeout | None = None
    upload_timeout: Annotated[Duration, within("1s", "1d")] = timedelta(seconds=30)
    max_in_flight: Bound | None = None
    max_connections: Bound = 1024
    networks: Annotated[tuple[Cidr, ...], Field(min_length=1)] | None = None
    resolve_every: Annotated[Duration, within("1s", "1h")] = timedelta(seconds=30)
    tls: Tls | None = None


class TlsProblem(Exception):
    """A file of ``tls`` that will not do. ``field`` is which one."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def tls_context(tls: Tls | None) -> ssl.SSLContext:
    """What targets with ``https://`` are spoken to with: TLS 1.2 or later, certificate and name always verified.

    Raises ``TlsProblem``.
    """
    tls = tls or Tls()
    for field in ("ca_file", "certificate_file", "key_file"):
        if (path := getattr(tls, field)) is not None:
            _readable(field, path)
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    except ssl.SSLError:
        raise TlsProblem("ca_file", "holds no certificate in PEM") from None
    context.hostname_checks_common_name = False  # RFC 9525 section 2: a subject is no name to be known by
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if tls.certificate_file is not None:
        try:
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            what = "does not hold a certificate in PEM with the key that belongs to it"
            raise TlsProblem("certificate_file", f"{what}, without a pass phrase") from error
    return context


def _readable(field: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise TlsProblem(field, f"cannot be read: {error.strerror or error}") from error


def _no_password() -> str:
    """Nobody is there to be asked for one: without this, OpenSSL would ask at the terminal."""
    raise ValueError("the key has a pass phrase")

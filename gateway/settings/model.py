"""The whole configuration as values: one frozen tree, every default in one place. Reads no file and no environment."""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.settings.access_log import AccessLog
from gateway.settings.addresses import (
    HostPort,
    HostSet,
    ListenAddress,
    Origin,
    PrivateNetwork,
    ProxyNetwork,
)
from gateway.settings.cors import Cors
from gateway.settings.digest import digest
from gateway.settings.listening import ListenLimits, ListenTls, ManagementTls
from gateway.settings.mail import LookupUrl, Mail
from gateway.settings.otlp import Otlp
from gateway.settings.route_limit import BodySize
from gateway.settings.routing import Route, Word
from gateway.settings.section import Section
from gateway.settings.sink import SinkEntry
from gateway.settings.units import Duration, Flag, Name, Rate, Size, WholeNumber, between, file_path, sized, within
from gateway.settings.upstream import Upstream

_SQLITE = ("sqlite", "sqlite+aiosqlite")  # the second is what 0.1.0 named
_POSTGRESQL = ("postgresql+psycopg", "postgresql")
_MIB = 1024 * 1024


def _database(value: SecretStr) -> SecretStr:
    """The URL with its driver named. The message says nothing of the URL: it may hold a password."""
    scheme, separator, rest = value.get_secret_value().partition("://")
    for family in (_SQLITE, _POSTGRESQL):
        if scheme in family and separator and rest:
            if family is _SQLITE and not rest.startswith("/"):
                raise ValueError(
                    "a SQLite URL has three slashes before a relative path and four before an absolute one"
                )
            if family is _SQLITE and rest.partition("?")[0] in ("/", "/:memory:"):
                raise ValueError("must name a file: in memory every connection would have a database of its own")
            return SecretStr(f"{family[0]}://{rest}")
    raise ValueError("must be a URL with postgresql+psycopg:// or sqlite:///")


def _postgresql(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith(f"{_POSTGRESQL[0]}://"):
        return value
    raise ValueError("must be a URL with postgresql+psycopg://")


def _folder(value: object) -> Path:
    if isinstance(value, str) and "?" in value:
        raise ValueError("must not hold a `?`, which a database URL cannot carry")
    return file_path(value)


def _auto(value: object) -> object:
    return None if value == "auto" else value


FilePath = Annotated[Path, BeforeValidator(_folder)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]
PostgresqlUrl = Annotated[SecretStr, AfterValidator(_database), AfterValidator(_postgresql)]


class Hashing(Section):
    """Argon2id's cost and the helper processes that bear it. ``memory`` is in bytes; ``helpers`` None: one per core."""

    memory: Annotated[Size, sized("7MiB", "4GiB")] = 19 * _MIB
    iterations: Annotated[WholeNumber, between(1, 64)] = 2
    parallelism: Annotated[WholeNumber, between(1, 16)] = 1
    helpers: Annotated[Annotated[WholeNumber, between(1, 256)] | None, BeforeValidator(_auto)] = None
    queue: Annotated[WholeNumber, between(1, 100_000)] = 128


class Limits(Section):
    """Coarse limits per client address, in slowapi's notation; the body of a request to an API; and how many callers
    are kept for the limits of routes.
    """

    token: Rate = "300/minute"  # noqa: S105 - the limit of /token
    pages: Rate = "300/minute"
    management: Rate = "600/minute"
    body: BodySize = 10 * _MIB
    counters: Annotated[WholeNumber, between(1_000, 100_000_000)] = 262_144


class ForwardAuth(Section):
    """The listener that proxies of other makes ask, and which peers those are. Without an address there is none."""

    listen: ListenAddress | None = None
    peers: tuple[ProxyNetwork, ...] = ()


class BrowserSessions(Section):
    """Which client of each tenant people log in by where a route says ``session: cookie``."""

    client: Word | None = None


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


def _in_data_dir(name: str) -> Any:
    return lambda values: values["data_dir"] / name


def _sqlite(values: dict[str, Any]) -> SecretStr:
    return SecretStr(f"{_SQLITE[0]}:///{values['data_dir'] / 'yett.db'}")


class Settings(BaseSettings):
    """The configuration of a pod. Made by ``load`` or ``from_mapping``, which alone check what must fit together.

    Relative paths are relative to the process's working directory. ``processes`` None: as many as there are cores.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=False,
        env_prefix="YETT_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    public_url: Origin
    listen: ListenAddress = HostPort("127.0.0.1", 8080)
    management_listen: ListenAddress = HostPort("127.0.0.1", 8081)
    management_hosts: tuple[HostPort, ...] = ()
    forward_auth: ForwardAuth = ForwardAuth()
    tls: ListenTls = ListenTls()
    management_tls: ManagementTls = ManagementTls()
    listen_limits: ListenLimits = ListenLimits()
    processes: Annotated[Annotated[WholeNumber, between(1, 64)] | None, BeforeValidator(_auto)] = 1
    data_dir: FilePath = Path(".yett")
    database_url: DatabaseUrl = Field(default_factory=_sqlite)
    database_system_url: PostgresqlUrl | None = None
    database_owner_url: PostgresqlUrl | None = None
    database_admin_url: PostgresqlUrl | None = None
    database_timeout: Annotated[Duration, within("1s", "5m")] = timedelta(seconds=10)
    master_key_file: FilePath = Field(default_factory=_in_data_dir("master.key"))
    trusted_proxies: tuple[ProxyNetwork, ...] = ()
    api_hosts: tuple[HostPort, ...] = ()
    upstreams: dict[Name, Upstream] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    cors: Cors = Cors()
    browser_sessions: BrowserSessions = BrowserSessions()
    access_log: AccessLog = AccessLog()
    revocation_staleness: Annotated[Duration, within("1s", "1d")] = timedelta(seconds=60)
    drain: Annotated[Duration, within("0s", "10m")] = timedelta(seconds=10)
    hashing: Hashing = Hashing()
    limits: Limits = Limits()
    mail: Mail = Mail()
    mail_password: SecretStr | None = None
    geoip_database: FilePath | None = None
    breach_lookup: LookupUrl | None = None
    outbound_networks: tuple[PrivateNetwork, ...] = ()
    sinks: tuple[SinkEntry, ...] = ()
    sink_secrets: dict[Name, SecretStr] = Field(default_factory=dict)
    otlp: Otlp = Otlp()
    log: Log = Log()
    unsafe_operators_by_password: Flag = False
    unsafe_plain_http: Flag = False
    unsafe_shared_origin: Flag = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all of these by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values only: ``load`` has merged file and environment before, so that each problem keeps its place."""
        return (init_settings,)

    @property
    def on_postgresql(self) -> bool:
        return self.database_url.get_secret_value().startswith(f"{_POSTGRESQL[0]}://")

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the data plane decides by: upstreams, routes and what these inherit, whatever their
        order and spelling.
        """
        routes = {route.name: route.model_copy(update={"access_log": None}) for route in self.routes}
        return digest({"upstreams": self.upstreams, "routes": routes, "cors": self.cors, "body": self.limits.body})

    def api_host_set(self) -> HostSet:
        """The hosts that carry APIs; every other one that reaches the public listener is identity's, or nobody's."""
        return HostSet.of(self.api_hosts)

    def identity_host_set(self) -> HostSet:
        """The host of ``public_url``, which carries the issuers."""
        return HostSet.of((HostPort.parse(self.public_url.partition("://")[2]),))

    def management_host_set(self) -> HostSet:
        """Which ``Host`` the management listener answers to: loopback's names, its own address, those configured."""
        loopback = map(HostPort, ("localhost", "127.0.0.1", "[::1]", self.management_listen.host))
        return HostSet.of((*loopback, *self.management_hosts))

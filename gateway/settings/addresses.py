"""Addresses of the configuration: hosts, ports, networks, origins, URIs, as on the wire. No name is resolved."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Network = IPv4Network | IPv6Network
DEFAULT_PORTS = {"http": 80, "https": 443}

_LOOPBACK_ANY_PORT = frozenset({"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"})
_PORT = re.compile(r"[0-9]{1,5}")
_HOST_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def network(value: object) -> Network:
    """A CIDR block whose host bits are zero, or one address."""
    if not isinstance(value, str):
        raise ValueError("must be a network in CIDR notation, as in 10.0.0.0/8")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("must be a network in CIDR notation, as in 10.0.0.0/8") from None
    raise ValueError(f"has bits set behind its prefix; is {meant} meant?")


def host_name(text: str) -> str:
    """A DNS name or address as a ``Host`` header has it: lower case, IPv6 in brackets. Raises ``ValueError``."""
    lowered = text.lower()
    if lowered.startswith("[") and lowered.endswith("]"):
        return f"[{IPv6Address(lowered[1:-1])}]"
    labels = lowered.split(".")
    if len(lowered) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is not a host name")
    if labels[-1].isdigit():
        return str(ip_address(lowered))
    return lowered


def proxy_network(value: Network) -> Network:
    """A proxy's word about its client is believed, so everyone must not be a proxy."""
    if value.prefixlen == 0:
        raise ValueError(f"{value} trusts everyone: every client could say what its address is")
    return value


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host, and a port where one is given: ``api.example.com``, ``127.0.0.1:8080``, ``[::1]:8080``."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, value: object, *, port_required: bool = False) -> "HostPort":
        wanted = "must be HOST:PORT, as in 127.0.0.1:8080" if port_required else "must be HOST or HOST:PORT"
        if isinstance(value, HostPort):
            return value
        if not isinstance(value, str):
            raise ValueError(wanted)
        if "/" in value:
            raise ValueError(f"{wanted}, without a scheme or a path")
        host, colon, port = value.rpartition(":")
        if not colon or value.endswith("]"):
            host, port = value, ""
        if (colon and not value.endswith("]") and not port) or (port_required and not port):
            raise ValueError(wanted)
        if port and not (_PORT.fullmatch(port) and int(port) <= 65535):
            raise ValueError("the port must be a number up to 65535")
        try:
            return cls(host_name(host), int(port) if port else None)
        except ValueError:
            raise ValueError(f"{wanted}; `{host}` is neither a host name nor an address") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The host as a socket takes it: an IPv6 address without its brackets."""
        return self.host.strip("[]")


@dataclass(frozen=True, slots=True)
class HostSet:
    """Hosts to find a request's ``Host`` in. An entry without a port stands for every port."""

    names: frozenset[str]

    @classmethod
    def of(cls, entries: Iterable[HostPort]) -> "HostSet":
        return cls(frozenset(map(str, entries)))

    def find(self, host: str) -> str | None:
        """The entry that this (lower-case) ``Host`` falls under, the one with its port first, or None."""
        if host in self.names:
            return host
        name, colon, port = host.rpartition(":")
        return name if colon and port.isdigit() and name in self.names else None


def listen_address(value: object) -> HostPort:
    """Where a listener binds; the port may be 0 (the system picks one)."""
    return HostPort.parse(value, port_required=True)


@dataclass(frozen=True, slots=True)
class WebTarget:
    """One address of an upstream, ``http(s)://host:port`` without anything behind it. The port is always there."""

    scheme: str
    at: HostPort

    @classmethod
    def parse(cls, value: object) -> "WebTarget":
        if isinstance(value, WebTarget):
            return value
        wanted = "must be http(s)://HOST:PORT"
        scheme, separator, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
        if scheme not in DEFAULT_PORTS or not separator:
            raise ValueError(wanted)
        rest = rest.removesuffix("/")
        if "@" in rest:
            raise ValueError("must not carry a user or a password")
        if any(sign in rest for sign in "/?#"):
            raise ValueError(f"{wanted}, without a path: the path of the request is sent as it came")
        at = HostPort.parse(rest)
        if at.port == 0:
            raise ValueError("the port must be a number from 1 to 65535")
        return cls(scheme, HostPort(at.host, at.port or DEFAULT_PORTS[scheme]))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.at}"


def origin(value: object) -> str:
    """``http(s)://host[:port]``, normalised: lower case, no default port, no trailing slash."""
    wanted = "must be http(s)://HOST[:PORT]"
    if not isinstance(value, str) or not value.isascii() or any(sign.isspace() for sign in value):
        raise ValueError(wanted)
    scheme, separator, rest = value.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https") or not separator:
        raise ValueError(wanted)
    rest = rest.removesuffix("/")
    if "@" in rest:
        raise ValueError("must not carry a user or a password")
    if any(sign in rest for sign in "/?#\\"):
        raise ValueError(f"{wanted}, without a path, query or fragment")
    at = HostPort.parse(rest)
    if at.port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    return f"{scheme}://{at.host}" if at.port in (None, DEFAULT_PORTS[scheme]) else f"{scheme}://{at}"


def page_origin(value: object) -> str:
    """The origin of pages, or ``http://localhost:*`` and the like for any port of a loopback host."""
    if isinstance(value, str) and value in _LOOPBACK_ANY_PORT:
        return value
    try:
        return origin(value)
    except ValueError as error:
        raise ValueError(
            f"{error}; the only wildcard is the port of a loopback host, as in http://localhost:*"
        ) from None


def absolute_uri(value: object) -> str:
    """RFC 8707 section 2: an absolute URI without a fragment."""
    said = "must be an absolute URI without a fragment, as in https://api.example.com/orders"
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or "#" in value:
        raise ValueError(said)
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(said) from None
    if not parts.scheme or not (parts.netloc or parts.path) or (parts.scheme in DEFAULT_PORTS and not parts.netloc):
        raise ValueError(said)
    return value


Cidr = Annotated[Network, BeforeValidator(network)]
ProxyNetwork = Annotated[Network, BeforeValidator(network), AfterValidator(proxy_network)]
ListenAddress = Annotated[HostPort, BeforeValidator(listen_address)]
TargetUrl = Annotated[WebTarget, BeforeValidator(WebTarget.parse)]
Origin = Annotated[str, BeforeValidator(origin)]
PageOrigin = Annotated[str, BeforeValidator(page_origin)]
AbsoluteUri = Annotated[str, BeforeValidator(absolute_uri)]
PrivateNetwork = Annotated[Network, BeforeValidator(network)]

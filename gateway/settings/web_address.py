"""Web addresses that this service calls itself, and which of them are public. No name is resolved.

What may be configured and what is called are judged by the same rule, so that a start finds what a call would refuse.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from gateway.settings.addresses import DEFAULT_PORTS, Network, host_name

Address = IPv4Address | IPv6Address

_URL = re.compile(r"[!-~]{1,2000}")
_NUMBER_AS_HOST = re.compile(r"0x[0-9a-f]*")  # resolvers read it as an address
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 internet, for hosts without IPv4
# IANA's special-purpose registries, and what is multicast, reserved or deprecated: no server on the internet has these.
_SPECIAL = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
) + tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_WANTED = "must be an http or https address in ASCII, without a user, a fragment, a backslash or a port that is none"


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An ``http(s)`` address in its parts. ``host`` is as a ``Host`` header has it; ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> "WebAddress":
        """A host in any other spelling of a number is refused, not read.

        Raises:
            ValueError: with what it must be, and nothing of what it is.
        """
        try:
            parts = urlsplit(url)
            host, port = host_name(_bracketed(parts.hostname or "")), parts.port
        except ValueError:
            raise ValueError(_WANTED) from None
        good = (
            _URL.fullmatch(url)
            and not any(sign in url for sign in "\\#")
            and not any(sign in parts.netloc for sign in "@%")
        )
        if (
            not good
            or parts.scheme not in DEFAULT_PORTS
            or port == 0
            or _NUMBER_AS_HOST.fullmatch(host.rpartition(".")[2])
        ):
            raise ValueError(_WANTED)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        return cls(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], target)

    @property
    def host_header(self) -> str:
        """The host, and the port where it is not the scheme's own."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The host, where it is an address; None for a name."""
        try:
            return ip_address(self.host.strip("[]"))
        except ValueError:
            return None


def is_public(address: Address) -> bool:
    """Whether this is a server's address on the internet. IPv4 inside of IPv6 is judged as IPv4."""
    meant = readings(address)[-1]
    if any(meant in network for network in _SPECIAL):
        return False
    return isinstance(meant, IPv4Address) or meant in _GLOBAL_UNICAST


def may_reach(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether it is public, or in a network that may be reached all the same."""
    return is_public(address) or any(spelling in network for network in allowed for spelling in readings(address))


def readings(address: Address) -> tuple[Address, ...]:
    """The address, and behind it the IPv4 one that it leads to, where it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address, address.ipv4_mapped
        if address in _NAT64:
            return address, IPv4Address(int(address) & 0xFFFFFFFF)
    return (address,)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""Who is at the other end of a request: its id, address, scheme and host. Nothing here trusts what a client may write.

``X-Forwarded-For`` is read from the right, one hop per trusted proxy; the first hop that is not trusted is the client.
A hop that cannot be read ends the walk at the last one that was vouched for, so garbage never hides a client.
"""

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = IPv4Address(0)  # a peer without an address, as on a Unix socket; in no network that one would trust
_MAX_HOPS = 32
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


class RequestContext(NamedTuple):
    """What every answer, log line and audit event about a request says about where it came from.

    ``hops`` is the vouched-for part of the way: the client first, then each trusted proxy.
    """

    request_id: str
    address: Address
    scheme: str
    host: str
    hops: tuple[Address, ...] = ()


def client_address(peer: str, forwarded_for: Sequence[str], trusted: tuple[Network, ...]) -> Address:
    """The right-most hop that is not a trusted proxy. ``forwarded_for`` are the values of the field, in order."""
    return vouched_hops(peer, forwarded_for, trusted)[0]


def vouched_hops(peer: str, forwarded_for: Sequence[str], trusted: tuple[Network, ...]) -> tuple[Address, ...]:
    """The client, and every trusted proxy between it and here. What a client wrote itself is not in it."""
    first = _peer(peer)
    if not trusted or not is_trusted(first, trusted):
        return (first,)
    hops = [first]
    for text in _from_the_right(forwarded_for):
        hop = _hop(text)
        if hop is None or len(hops) > _MAX_HOPS:
            break
        hops.append(hop)
        if not is_trusted(hop, trusted):
            break
    return tuple(reversed(hops))


def is_trusted(address: Address, trusted: tuple[Network, ...]) -> bool:
    """Whether the address is one of the configured proxies."""
    return any(address in network for network in trusted)


def normalised(address: Address) -> Address:
    """An IPv4 address mapped into IPv6 is that IPv4 address: rules and limits must not see two of one client."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def new_request_id() -> str:
    """32 hex digits, unpredictable, so that it also serves as a trace id (W3C Trace Context section 3.2.2.3)."""
    return os.urandom(16).hex()


@lru_cache(maxsize=1024)
def _peer(peer: str) -> Address:
    """The address of the socket; a link-local one comes with its zone, which says nothing elsewhere."""
    if not peer:
        return UNKNOWN
    try:
        return normalised(ip_address(peer.partition("%")[0]))
    except ValueError:
        return UNKNOWN


def _hop(text: str) -> Address | None:
    """``192.0.2.1``, ``192.0.2.1:443``, ``2001:db8::1``, ``[2001:db8::1]:443``; None for everything else."""
    text = text.strip(" \t")
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2]
    if "%" in text:
        return None
    try:
        return normalised(ip_address(text))
    except ValueError:
        return None


def _from_the_right(values: Sequence[str]) -> Iterable[str]:
    for value in reversed(values):
        yield from reversed(value.split(","))

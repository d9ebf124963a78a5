"""How many connections a listener may have open: in all, so that the descriptors never run out, and of one client
address, so that none of them takes the room of all others.

Addresses are counted as they are handed out: IPv4 one by one, IPv6 by /64, which one customer has to itself. Trusted
proxies are not counted, since all clients come from there; nor is a peer without an address, as on a Unix socket.
"""

from ipaddress import IPv6Address, ip_address

from gateway.context import Network, is_trusted, normalised
from gateway.server.limits import ServerLimits

Networks = tuple[Network, ...]
_CUSTOMER = 64  # bits of an IPv6 address that a provider gives away at least


class Room:
    """Asked once for each connection. While an address has room, that costs one look-up.

    ``turned_away`` counts whom there was no room for, ``crowded`` those whose address had enough, ``crowded_by`` is the
    last of these; who tells of them sets them back.
    """

    __slots__ = ("_exempt", "_limits", "_open", "crowded", "crowded_by", "turned_away")

    def __init__(self, limits: ServerLimits, exempt: Networks = ()) -> None:
        self._limits = limits
        self._exempt = exempt
        self._open: dict[str | int, int] = {}
        self.turned_away = 0
        self.crowded = 0
        self.crowded_by = ""

    def trust(self, proxies: Networks) -> None:
        """These are not counted from here on."""
        self._exempt = proxies

    def enter(self, peer: str, others: int) -> bool:
        """Whether there is room for one more beside ``others``, of ``peer``; if so, it is counted until it leaves."""
        if others >= self._limits.connections:
            self.turned_away += 1
            return False
        key = _key(peer)
        count = self._open.get(key, 0)
        if count >= self._limits.connections_per_address and not self._is_exempt(peer):
            self.crowded += 1
            self.crowded_by = peer
            return False
        self._open[key] = count + 1
        return True

    def leave(self, peer: str) -> None:
        """A connection that had entered has ended."""
        key = _key(peer)
        count = self._open[key] - 1
        if count:
            self._open[key] = count
        else:
            del self._open[key]

    def _is_exempt(self, peer: str) -> bool:
        try:
            address = normalised(ip_address(peer.partition("%")[0]))
        except ValueError:
            return True  # no internet address
        return is_trusted(address, self._exempt)


def _key(peer: str) -> str | int:
    """What stands for the address of ``peer``: itself, or the network of an IPv6 address as a number."""
    if ":" not in peer:
        return peer
    try:
        address = IPv6Address(peer.partition("%")[0])
    except ValueError:
        return peer
    mapped = address.ipv4_mapped
    return int(address) >> (128 - _CUSTOMER) if mapped is None else str(mapped)

"""Where an upstream may be. It is the operator's own choice, so private networks are allowed; but a name can be made to
lead to what answers every caller on this machine: a cloud's metadata service gives out credentials.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from gateway.settings.addresses import Network
from gateway.settings.web_address import Address, readings

# Link-local (there AWS, Azure, Google and most others have their metadata), the metadata addresses that are elsewhere,
# and what is nobody's address. None of them is a target by accident.
_NEVER: tuple[Network, ...] = (
    *map(IPv4Network, ("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32")),
    *map(IPv4Network, ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32")),
    *map(IPv6Network, ("fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128", "::/128", "ff00::/8")),
)


# IPv4 inside of IPv6, as once was usual or as a network may translate it: IPv4-compatible, IPv4-translated, NAT64 with
# a prefix of one's own (RFC 8215); and 6to4, which has it at its beginning.
_IPV4_AT_THE_END = tuple(map(IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")))
_6TO4 = IPv6Network("2002::/16")


def may_connect(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is in one of ``networks``, where there are any, and in none that must have been meant: those count
    only where a network inside of them is listed.
    """
    spellings = readings(address)
    if networks and not any(spelling in network for network in networks for spelling in spellings):
        return False
    meant = (*spellings, *_inner(address))
    for never in _NEVER:
        inside = [spelling for spelling in meant if spelling in never]
        if inside and not any(_inside(network, never) and one in network for network in networks for one in inside):
            return False
    return True


def _inner(address: Address) -> Iterator[IPv4Address]:
    """What else an IPv6 address may lead to, besides its readings."""
    if not isinstance(address, IPv6Address) or address.is_loopback:
        return
    if address in _6TO4:
        yield IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if any(address in network for network in _IPV4_AT_THE_END):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _inside(network: Network, never: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(never, IPv4Network) and network.subnet_of(never)
    return isinstance(never, IPv6Network) and network.subnet_of(never)

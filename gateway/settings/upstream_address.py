"""Where an upstream may be. It is the operator's own choice, so private networks are allowed; but a name can be made to
lead to what answers every caller on this machine: a cloud's metadata service gives out credentials.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from gateway.settings.addresses import Network
from gateway.settings.web_address import Address, readings

# Link-local (there AWS, Azure, Google and most others have their metadata), the metadata addresses that are elsewhere,
# and what is nobody's address. None of them is a target by accident.
_NEVER: tuple[Network, ...] = (
    *map(IPv4Network, ("169.254.0.0/16", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32")),
    *map(IPv4Network, ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32")),
    *map(IPv6Network, ("fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "::/128", "ff00::/8")),
)


def may_connect(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is in one of ``networks``, where there are any, and in none that must have been meant: those count
    only where a network inside of them is listed.
    """
    spellings = readings(address)
    if networks and not any(spelling in network for network in networks for spelling in spellings):
        return False
    for never in _NEVER:
        inside = [spelling for spelling in spellings if spelling in never]
        if inside and not any(_inside(network, never) and one in network for network in networks for one in inside):
            return False
    return True


def _inside(network: Network, never: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(never, IPv4Network) and network.subnet_of(never)
    return isinstance(never, IPv6Network) and network.subnet_of(never)

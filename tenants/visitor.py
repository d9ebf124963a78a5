"""Where a login comes from, as it is stored beside what it starts."""

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

_LONGEST_USER_AGENT = 300


class Visitor(NamedTuple):
    """``address`` as text; ``user_agent`` is what the client says of itself, cut at 300 characters."""

    address: str
    network: str
    user_agent: str

    @classmethod
    def of(cls, address: IPv4Address | IPv6Address, user_agent: str) -> "Visitor":
        """``network`` is the IPv4 address, or the /64 that an IPv6 client has all to itself (rule 11)."""
        text = str(address)
        network = f"{text}/32" if isinstance(address, IPv4Address) else str(ip_network((address, 64), strict=False))
        printable = user_agent[:_LONGEST_USER_AGENT]
        if not printable.isprintable():
            printable = "".join(sign for sign in printable if sign.isprintable())
        return cls(text, network, printable)


UNKNOWN = Visitor("", "", "")

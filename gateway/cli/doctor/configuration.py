"""Checks of the configuration: what is allowed there and yet seldom meant, and who may read its files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_IRWXO, S_IWGRP, S_IWOTH
from typing import Final
from urllib.parse import urlsplit

from gateway.cli.doctor.check import Check, Examined
from gateway.settings.addresses import HostPort
from gateway.settings.checks import is_loopback

_WIDEST: Final = {4: 8, 6: 32}
_FILE: Final = "_FILE"


async def public_url(examined: Examined) -> Sequence[str]:
    """Passwords go to an address that begins with https, unless nobody else is there."""
    parts = urlsplit(examined.settings.public_url)
    if parts.scheme == "https" or is_loopback(HostPort.parse(parts.netloc).host):
        return ()
    return ("public_url is http: put TLS in front (`tls`, or a proxy) and make it https://.",)


async def shared_origin(examined: Examined) -> Sequence[str]:
    """A page of an API must not be same-origin with the login page."""
    if not examined.settings.unsafe_shared_origin:
        return ()
    return ("unsafe_shared_origin is on: give the APIs a host of their own in api_hosts and drop it.",)


async def trusted_proxies(examined: Examined) -> Sequence[str]:
    """Whoever is in these networks says which address a request came from."""
    wide = [str(net) for net in examined.settings.trusted_proxies if net.prefixlen < _WIDEST[net.version]]
    if not wide:
        return ()
    return (f"trusted_proxies has {', '.join(wide)}: name the proxies' own addresses, for others there could lie.",)


async def config_file(examined: Examined) -> Sequence[str]:
    """Who can write the configuration decides where requests go."""
    path = examined.config
    if path is None or not path.exists() or not path.stat().st_mode & (S_IWGRP | S_IWOTH):
        return ()
    return (f"{path} can be written by others than its owner: run `chmod go-w {path}`.",)


async def secret_files(examined: Examined) -> Sequence[str]:
    """Master key, and each file that a variable names, are for Yett's user (and group) alone."""
    return tuple(
        f"{path} can be read or written by every user of this machine: run `chmod o= {path}`."
        for path in _secret_files(examined)
        if path.exists() and path.stat().st_mode & S_IRWXO
    )


def _secret_files(examined: Examined) -> Iterator[Path]:
    settings = examined.settings
    yield settings.master_key_file
    for certificate in (*settings.tls.certificates, *settings.management_tls.certificates):
        yield certificate.key_file
    for name, value in sorted(examined.environ.items()):
        if name.startswith("YETT_") and name.endswith(_FILE) and name != "YETT_MASTER_KEY_FILE" and value:
            yield Path(value)


CHECKS = (
    Check("configuration", "public_url", "public_url", "settings", public_url),
    Check("configuration", "shared_origin", "unsafe_shared_origin", "settings", shared_origin),
    Check("configuration", "trusted_proxies", "trusted_proxies", "settings", trusted_proxies),
    Check("configuration", "config_file", "mode of the YAML file", "settings", config_file),
    Check("configuration", "secret_files", "modes of master key, TLS keys, secrets' files", "settings", secret_files),
)

"""Checks of the machine and of what lies on it: file descriptors, helpers, certificates."""

import resource
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.cli.descriptors import TooFewDescriptors, for_clients
from gateway.cli.doctor.check import Check, Examined
from gateway.server.certificates import CertificateProblem, Certificates, Pair
from gateway.settings.upstream import TlsProblem, tls_context
from tenants import cpu_quota
from tenants.certificate import read_certificate

_EXPIRES_SOON: Final = timedelta(days=14)
_FEWEST: Final = 4096


async def descriptors(examined: Examined) -> Sequence[str]:
    """What a server started like this command could raise its limit to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return ()
    try:
        for_clients(hard, examined.settings.listen_limits.connections)
    except TooFewDescriptors as error:
        return (str(error),)
    if hard >= _FEWEST:
        return ()
    return (f"A process may have {hard} files open: raise the limit (ulimit -Hn, LimitNOFILE=) to {_FEWEST} or more.",)


async def hashing(examined: Examined) -> Sequence[str]:
    """More helpers than cores only take turns."""
    asked, cores = examined.settings.hashing.helpers, cpu_quota.cores()
    if asked is None or asked <= cores:
        return ()
    return (f"hashing.helpers is {asked} and there are {cores} cores here: leave it at auto.",)


async def certificates(examined: Examined) -> Sequence[str]:
    """Each works with its key, and for two weeks yet."""
    settings = examined.settings
    findings = []
    for one in (*settings.tls.certificates, *settings.management_tls.certificates):
        try:
            Certificates([Pair(one.certificate_file, one.key_file)])
        except CertificateProblem as problem:
            findings.append(f"{problem} Put a pair in place that works.")
            continue
        findings += _expiry(one.certificate_file, examined)
    return findings


def _expiry(file: Path, examined: Examined) -> Sequence[str]:
    facts = read_certificate(file.read_bytes())
    if facts.not_before > examined.now:
        return (f"{file} is valid from {facts.not_before:%Y-%m-%d %H:%M} on only: set the clock, or replace it.",)
    if facts.not_after <= examined.now:
        return (f"{file} expired on {facts.not_after:%Y-%m-%d}: replace it.",)
    if facts.not_after - examined.now < _EXPIRES_SOON:
        return (f"{file} expires on {facts.not_after:%Y-%m-%d}: renew it.",)
    return ()


async def upstream_files(examined: Examined) -> Sequence[str]:
    """The authorities and certificates that upstreams are spoken to with."""
    findings = []
    for name, upstream in examined.settings.upstreams.items():
        try:
            if upstream.tls is not None:
                tls_context(upstream.tls)
        except TlsProblem as problem:
            findings.append(f"upstreams.{name}.tls.{problem.field} {problem}: name a file that will do.")
    return findings


CHECKS = (
    Check("processes", "descriptors", "files a process may open", "settings", descriptors),
    Check("processes", "hashing", "helpers beside cores", "settings", hashing),
    Check("tls", "certificates", "expiry, and that the key belongs", "settings", certificates),
    Check("tls", "upstream_files", "files of upstreams' tls", "settings", upstream_files),
)

"""Checks of what the database holds: keys, the audit log, operators, clients."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from gateway.cli.doctor.check import Check, Examined
from gateway.settings.checks import is_loopback
from policies.key_rotation import KeyState
from tenants import soundness
from tenants.installation import WrongMasterKey, check_master_key
from tenants.sink_standing import standing

_LAG: Final = timedelta(minutes=1)


async def signing_keys(examined: Examined) -> Sequence[str]:
    """Every tenant signs, and has the key that comes next."""
    findings = []
    for state, mend in ((KeyState.ACTIVE, "yett key rotate"), (KeyState.NEXT, "yett key create")):
        if lacking := await soundness.tenants_without_key(examined.opened, state):
            findings.append(f"No {state.value} signing key in {', '.join(lacking)}: run `{mend} --tenant …`.")
    return findings


async def master_key(examined: Examined) -> Sequence[str]:
    """The ring opens what is sealed: a sample of each column."""
    if examined.master_keys is None:
        return ("The master keys could not be read: see what is said of master_key_file.",)
    if not await soundness.is_sealed(examined.opened):
        return ()  # the first start makes this key the database's own, which is no business of a look
    try:
        await check_master_key(examined.opened, examined.master_keys)
    except WrongMasterKey as error:
        return (str(error),)
    return tuple(
        f"{problem}: put the missing key back into the master key file, or restore the row from a backup."
        for problem in await soundness.unopened_samples(examined.opened, examined.master_keys)
    )


async def sequencer(examined: Examined) -> Sequence[str]:
    """Events reach the log while somebody serves."""
    waiting = await soundness.waiting_events(examined.opened, examined.now)
    if waiting.since is None or not waiting.served or examined.now - waiting.since <= _LAG:
        return ()
    seconds = (examined.now - waiting.since).total_seconds()
    return (f"Audit events have waited for {seconds:.0f} s though a gateway runs: look for `audit` in its log.",)


async def checkpoints(examined: Examined) -> Sequence[str]:
    """A log's newest events are under a signed checkpoint soon."""
    waiting = await soundness.waiting_events(examined.opened, examined.now)
    if not waiting.served:
        return ()
    late = await soundness.tenants_without_checkpoint(examined.opened, examined.now - _LAG)
    return (f"The checkpoints of {', '.join(late)} are behind: `yett audit checkpoint --tenant …`.",) if late else ()


async def sinks(examined: Examined) -> Sequence[str]:
    """Receivers take what is sent."""
    wanted = {one.name for one in examined.settings.sinks}
    return tuple(
        f"The sink {found.name} fails since {found.failing_since:%Y-%m-%d %H:%M}: `yett sink test {found.name}`."
        for found in await standing(examined.opened)
        if found.name in wanted and found.failing_since is not None
    )


async def operators(examined: Examined) -> Sequence[str]:
    """Somebody can administer."""
    if await soundness.has_operator(examined.opened):
        return ()
    return ("No active operator: `yett user create --tenant platform NAME --role owner`.",)


async def redirects(examined: Examined) -> Sequence[str]:
    """Codes travel by https, or stay on the machine."""
    return tuple(
        f"Client {client} of {slug} redirects to http beyond loopback: `yett client configure`, with https."
        for slug, client, uris in await soundness.plain_redirects(examined.opened)
        if any(_leaves_in_the_clear(str(uri)) for uri in uris)
    )


def _leaves_in_the_clear(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


CHECKS = (
    Check("keys", "signing_keys", "every tenant's signing keys", "database", signing_keys),
    Check("keys", "master_key", "a sample of each sealed column", "database", master_key),
    Check("audit", "sequencer", "how long events wait", "database", sequencer),
    Check("audit", "checkpoints", "how old they are", "database", checkpoints),
    Check("audit", "sinks", "deliveries", "database", sinks),
    Check("operators", "operators", "who administers", "database", operators),
    Check("clients", "redirects", "redirect URIs", "database", redirects),
)

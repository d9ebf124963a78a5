"""What of a new configuration a running process can take, and what it needs a restart for.

A setting is taken at once if it stands in ``LIVE``; every other one, those of later releases too, stays what it was at
the start, as does whether a listener speaks TLS at all. The two halves together are checked as one configuration,
because that is what will be in force.
"""

from dataclasses import dataclass
from typing import Final

from gateway.settings.load import problems_of
from gateway.settings.model import Settings
from gateway.settings.problem import ConfigError

LIVE: Final = frozenset(
    {
        "access_log",
        "api_hosts",
        "browser_sessions",
        "cors",
        "limits",
        "log",
        "management_hosts",
        "management_tls",
        "revocation_staleness",
        "routes",
        "sink_secrets",
        "sinks",
        "tls",
        "trusted_proxies",
        "unsafe_plain_http",  # these two allow something to other settings, and do nothing themselves
        "unsafe_shared_origin",
        "upstreams",
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """``settings`` are to be in force; ``taken`` are the names of what differs in them from before, ``restart`` of
    what was asked for and has to wait for one.
    """

    settings: Settings
    taken: tuple[str, ...]
    restart: tuple[str, ...]


def change(running: Settings, wanted: Settings, *, source: str) -> Change:
    """From what runs to what is wanted. ``source`` names the file in problems.

    Raises:
        ConfigError: what can be taken does not go together with what has to stay.
    """
    differs = sorted(name for name in Settings.model_fields if getattr(running, name) != getattr(wanted, name))
    kept: dict[str, object] = {name: getattr(running, name) for name in differs if _waits(name, running, wanted)}
    restart = tuple(kept)
    if running.limits.counters != wanted.limits.counters:  # the one of its section that is room in memory
        kept["limits"] = wanted.limits.model_copy(update={"counters": running.limits.counters})
        restart += ("limits.counters",)
    settings = wanted
    if restart:
        settings = wanted.model_copy(update=kept)
        problems = problems_of(settings, source=source, because=f"as long as {', '.join(restart)} waits for a restart")
        if problems:
            raise ConfigError(problems)
    taken = (name for name in differs if name not in restart and getattr(running, name) != getattr(settings, name))
    return Change(settings, tuple(taken), restart)


def _waits(name: str, running: Settings, wanted: Settings) -> bool:
    match name:
        case "tls":
            return bool(running.tls.certificates) is not bool(wanted.tls.certificates)
        case "management_tls":
            return bool(running.management_tls.certificates) is not bool(wanted.management_tls.certificates)
        case _:
            return name not in LIVE

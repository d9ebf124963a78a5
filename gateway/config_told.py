"""Telling the audit log which configuration this process took: at its start, and after each reload that changed it.

What is told is a digest of each part that decides who may do what; secrets are masked in it. That another one came
into force is found by the detections, once for all processes.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.settings import Settings
from gateway.settings.digest import digest
from tenants.audit_event import Details, Event
from tenants.store import Store
from tenants.tenant import Tenant

INTERVAL = 2.0
_DIGITS = 16
PARTS: Final = (
    "api_hosts",
    "breach_lookup",
    "browser_sessions",
    "cors",
    "forward_auth",
    "hashing",
    "limits",
    "management_hosts",
    "outbound_networks",
    "public_url",
    "revocation_staleness",
    "routes",
    "sinks",
    "trusted_proxies",
    "unsafe_plain_http",
    "unsafe_shared_origin",
    "upstreams",
)
"""Settings that are told of."""


class ConfigTold:
    """``running`` gives the settings in force. They are told of in the log of ``platform``."""

    def __init__(self, store: Store, platform: Tenant, running: Callable[[], Settings]) -> None:
        self._store = store
        self._platform_id = platform.id
        self._running = running
        self._told: Settings | None = None

    async def run(self) -> None:
        """Tell of the settings in force, unless they were told of."""
        settings = self._running()
        if settings is self._told:
            return
        event = await asyncio.to_thread(taken, settings)  # many routes take their time
        async with self._store.for_tenant(self._platform_id) as store:
            await store.audit.add(event)
        self._told = settings


def taken(settings: Settings) -> Event:
    """What is told of them."""
    parts = [f"{name}:{digest(getattr(settings, name))[:_DIGITS]}" for name in PARTS]
    details: Details = {"parts": parts}
    return Event("config.taken", "notice", config=settings.digest, details=details)

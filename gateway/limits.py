"""Coarse limits per client address, in this process's memory (rule 11): slowapi in front of pages and administration.

Exact throttles of logins are counted in the database and are not here.
"""

import math
import time
from ipaddress import IPv6Address
from typing import Any

from limits import RateLimitItem
from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.requests import Request
from starlette.responses import Response

from gateway.middleware import context_of


class _OwnSettingsOnly(Limiter):
    """Without slowapi's own configuration: RATELIMIT_ENABLED in the environment, or in a file .env that happens to lie
    in the working directory, would switch the limit off."""

    def get_app_config(self, key: str, default_value: Any = None) -> Any:  # noqa: ARG002 - slowapi's signature
        return default_value


class AddressLimit:
    """``rate`` requests per client network, in slowapi's notation (``300/minute``)."""

    def __init__(self, rate: str) -> None:
        # key_style: by default slowapi counts each path apart, and a stranger has as many paths as he likes.
        self._limiter = _OwnSettingsOnly(key_func=client_network, key_style="endpoint", storage_uri="memory://")

        @self._limiter.limit(rate)
        async def admitted(request: Request) -> Response:  # noqa: ARG001 - slowapi finds the request by this name
            return Response()

        self._admitted = admitted

    async def refused_for(self, request: Request) -> int | None:
        """Count this request: None where it is admitted, else the seconds until the next one will be."""
        try:
            await self._admitted(request)
        except RateLimitExceeded:
            item, keys = _exceeded(request)
            reset_time, _ = self._limiter.limiter.get_window_stats(item, *keys)
            return max(1, math.ceil(reset_time - time.time()))
        return None


def client_network(request: Request) -> str:
    """An IPv4 address, or the /64 that an IPv6 client has all to itself. Vouched for by trusted proxies only."""
    address = context_of(request.scope).address
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _exceeded(request: Request) -> tuple[RateLimitItem, list[str]]:
    found: tuple[RateLimitItem, list[str]] = request.state.view_rate_limit
    return found

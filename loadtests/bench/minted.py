"""Access tokens by the thousand: signed here with the tenant's own key, since no endpoint issues as many in a minute.

Each is what ``/token`` would have answered, with a ``jti`` of its own. Also: how many of them the function that the
proxy verifies with gets through when it does nothing else.
"""

import asyncio
import json
import os
import time
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from gateway.authn.bearer import Bearer
from gateway.authn.token_table import TokenTable
from gateway.installation import open_installation
from gateway.settings import load
from policies.principal import Principal
from tenants.snapshot import Snapshot

_LIFETIME = 3600


def claims_of(token: str) -> dict[str, Any]:
    """What the token says, unverified."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def mint(data: Path, like: str, tenants: Sequence[str], count: int) -> list[str]:
    """``count`` tokens, of these tenants in turn. ``like`` is a token that the first tenant issued. They live for an
    hour, so that all of a run's can be made before it.
    """
    return asyncio.run(_mint(data, claims_of(like), tenants, count))


async def _mint(data: Path, like: dict[str, Any], tenants: Sequence[str], count: int) -> list[str]:
    async with open_installation(load(data / "yett.yaml", {})) as installation:
        issuers = []
        for slug in tenants:
            tenant = await installation.directory.find(slug)
            if tenant is None:
                raise RuntimeError(f"there is no tenant {slug}")
            async with installation.store.for_tenant(tenant.id, read_only=True) as store:
                issuers.append((tenant.issuer, await store.keys.signing()))
    now = int(time.time())
    times = {"iat": now, "exp": now + _LIFETIME}
    return [
        key.sign("at+jwt", {**like, **times, "iss": issuer, "jti": str(uuid4())})
        for number in range(count)
        for issuer, key in [issuers[number % len(issuers)]]
    ]


def verified_alone(data: Path, tokens: Sequence[str], *, cpu: int) -> float:
    """Tokens that ``Bearer`` verifies in a second, each for the first time, on this CPU.

    Raises ``RuntimeError`` where it refuses one.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        return asyncio.run(_verified_alone(data, [token.encode("ascii") for token in tokens]))
    finally:
        os.sched_setaffinity(0, allowed)


async def _verified_alone(data: Path, tokens: Sequence[bytes]) -> float:
    async with open_installation(load(data / "yett.yaml", {})) as installation:
        snapshot = Snapshot(installation.database, clock=installation.clock, monotonic=time.monotonic)
        await snapshot.load()
        authenticate = Bearer(snapshot, TokenTable(), time.time).authenticate
        began = time.perf_counter()
        for token in tokens:
            outcome = authenticate(token)
            if not isinstance(outcome, Principal):
                raise RuntimeError(f"a token was refused: {outcome.reason}")
        return len(tokens) / (time.perf_counter() - began)

"""``Idempotency-Key`` on POST: a request that is sent again is answered again, and done once.

At most once even where several processes are asked at a time: the first one holds the key until its change is
committed, together with its answer (tenants/idempotency_keys.py). Only what was done is kept; what was refused has
changed nothing, and may be tried again. Owns the field's form, and what makes two requests the same.
"""

import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from uuid import UUID

from gateway.admin.errors import IdempotencyKeyInvalid, InFlight, KeyReused
from policies.principal import Principal
from tenants.idempotency_keys import IdempotencyKey, KeptAnswer
from tenants.store import TenantStore

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def key_of(
    fields: tuple[str, ...], principal: Principal, *, method: str, path: str, body: bytes, secret: bytes | None = None
) -> IdempotencyKey | None:
    """The key of a request, if it has one. ``secret`` is what its body is digested with, where a person's password may
    be in it: whoever read the table could else try passwords at no cost.

    Raises:
        IdempotencyKeyInvalid: more than one, or it cannot be one.
    """
    if not fields:
        return None
    if len(fields) > 1 or _KEY.fullmatch(fields[0]) is None:
        raise IdempotencyKeyInvalid
    who = (principal.tenant_id.hex, principal.subject, principal.client_id or "")
    digested = sha256(body) if secret is None else hmac.new(secret, body, sha256)
    return IdempotencyKey(_digest(*who), fields[0], _digest(method, path, digested.hexdigest()))


def tenant_to_be(key: IdempotencyKey) -> UUID:
    """The id of a tenant that a request makes: the same when it is sent again, so that its answer is found there."""
    return UUID(bytes=sha256(b"tenant" + key.principal + key.key.encode()).digest()[:16], version=4)


class InFlights:
    """The keys that this process is at."""

    def __init__(self) -> None:
        self._running: set[bytes] = set()

    @contextmanager
    def entered(self, key: IdempotencyKey | None, tenant_id: UUID) -> Iterator[None]:
        """Until the end of the block, which is after the commit.

        Raises:
            InFlight: another request of this key runs here.
        """
        if key is None:
            yield
            return
        digest = key.digest(tenant_id)
        if digest in self._running:
            raise InFlight
        self._running.add(digest)
        try:
            yield
        finally:
            self._running.discard(digest)


async def answered_before(store: TenantStore, key: IdempotencyKey) -> KeptAnswer | None:
    """What was answered to this request, if it was.

    Raises:
        InFlight: another process is at it.
        KeyReused: the key came with another request.
    """
    if not await store.idempotency_keys.enter(key):
        raise InFlight
    kept = await store.idempotency_keys.find(key)
    if kept is not None and kept.request != key.request:
        raise KeyReused
    return kept


def _digest(*parts: str) -> bytes:
    digest = sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4) + data)
    return digest.digest()

"""The server's nonces for DPoP proofs (RFC 9449 sections 8 and 9): stateless, the same in every process, of one tenant.

A nonce is a MAC of the tenant and of a span of time, under a key that follows from the master keys; so any process
knows the nonces of all, and nobody can know one before its time. It is good for its own span and the next. It is no
secret: whoever asks is given it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

SPAN: Final = 120
"""Seconds: a nonce is good for at least as long, and for no more than twice that."""

_BYTES = 16


class DpopNonces:
    """``keys`` answers those of the ring of master keys, the active one's first: a process that has not heard of a new
    master key yet gives out nonces of the old one. They are asked for once in each span. ``clock`` gives seconds since
    the epoch.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]], clock: Callable[[], float]) -> None:
        if not keys():
            raise ValueError("nonces need a key")
        self._keys = keys
        self._of_span: Sequence[bytes] = ()
        self._clock = clock
        self._span = -1
        self._known: dict[UUID, tuple[str, frozenset[str]]] = {}

    def current(self, tenant_id: UUID) -> str:
        """The nonce to give out now."""
        return self._of(tenant_id)[0]

    def accepted(self, tenant_id: UUID) -> frozenset[str]:
        """Those that count now: of this span, of the last one, and of the next, which another process may have begun
        already.
        """
        return self._of(tenant_id)[1]

    def _of(self, tenant_id: UUID) -> tuple[str, frozenset[str]]:
        span = int(self._clock()) // SPAN
        if span != self._span:
            self._span = span
            self._of_span = self._keys()
            self._known.clear()
        known = self._known.get(tenant_id)
        if known is None:
            spans = (span, span - 1, span + 1)
            nonces = [_nonce(key, tenant_id, one) for key in self._of_span for one in spans]
            known = self._known[tenant_id] = (nonces[0], frozenset(nonces))
        return known


def _nonce(key: bytes, tenant_id: UUID, span: int) -> str:
    mac = hmac.digest(key, tenant_id.bytes + span.to_bytes(8, "big"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:_BYTES]).rstrip(b"=").decode("ascii")

"""``X-Yett-Identity``: who asks, as a JWT for one upstream, so that an API need not trust its network.

``typ`` is ``yett-id+jwt``, which no endpoint takes for an access token. It is signed with the tenant's own key: whoever
has the tenant's JWKS can verify it. Owns its claims, its 60 seconds and the memory of those that still stand.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from policies.principal import Principal
from tenants.database import DATABASE_ERRORS
from tenants.jose import SigningKey
from tenants.keys import NoActiveKey

TYP: Final = "yett-id+jwt"
LIFETIME: Final = 60  # seconds
BACKDATED: Final = 5  # seconds: an API's clock may be behind, and libraries refuse what is from the future
RENEWED_AFTER: Final = 30  # seconds: whoever gets one has almost as long to verify it
RETRY_AFTER: Final = 30  # seconds, without a key: somebody has to promote one
_REMEMBERED = 16_384


class Keys(Protocol):
    """The tenants' signing keys."""

    def known(self, tenant_id: UUID, /) -> SigningKey | None:
        """The key that signs now, if it is at hand."""

    async def get(self, tenant_id: UUID, /) -> SigningKey:
        """The key that signs now. Raises NoActiveKey, or one of DATABASE_ERRORS."""


class Unsigned(Exception):
    """There is no key at present to sign with."""


@dataclass(frozen=True, slots=True)
class _Line:
    principal: Principal
    kid: str
    renew_at: float
    line: bytes


class IdentityTokens:
    """``issuer_of`` gives a tenant's issuer, None for one that is not there; ``now`` is epoch seconds."""

    def __init__(self, keys: Keys, issuer_of: Callable[[UUID], str | None], now: Callable[[], float]) -> None:
        self._keys = keys
        self._issuer_of = issuer_of
        self._now = now
        self._lines: OrderedDict[tuple[int, str], _Line] = OrderedDict()

    async def line(self, principal: Principal, audience: str) -> bytes:
        """The header line for the upstream of ``audience``. Waits only where the tenant's key is not at hand.

        Raises Unsigned.
        """
        key = self._keys.known(principal.tenant_id)
        if key is None:
            try:
                key = await self._keys.get(principal.tenant_id)
            except (NoActiveKey, *DATABASE_ERRORS) as error:
                raise Unsigned from error
        # The same object is the same token: what it says of its login cannot differ.
        place, now = (id(principal), audience), self._now()
        known = self._lines.get(place)
        if known is not None and known.principal is principal and known.kid == key.kid and now < known.renew_at:
            return known.line
        line = self._signed(principal, audience, key, int(now))
        self._remember(place, _Line(principal, key.kid, now + RENEWED_AFTER, line), now)
        return line

    def _remember(self, place: tuple[int, str], made: _Line, now: float) -> None:
        """In the order of signing, so that what is over stands in front; it holds tokens' claims, and so goes."""
        lines = self._lines
        lines[place] = made
        lines.move_to_end(place)
        while len(lines) > _REMEMBERED or next(iter(lines.values())).renew_at <= now:
            lines.popitem(last=False)

    def _signed(self, principal: Principal, audience: str, key: SigningKey, now: int) -> bytes:
        issuer = self._issuer_of(principal.tenant_id)
        if issuer is None:
            raise Unsigned
        return f"x-yett-identity: {key.sign(TYP, _claims(principal, issuer, audience, now))}\r\n".encode("ascii")


def _claims(principal: Principal, issuer: str, audience: str, now: int) -> dict[str, Any]:
    told = {
        "iss": issuer,
        "aud": audience,
        "sub": principal.subject,
        "iat": now - BACKDATED,
        "exp": now - BACKDATED + LIFETIME,
        "tenant": principal.tenant,
        "client_id": principal.client_id,
        "scope": " ".join(sorted(principal.scopes)),
        "sid": principal.session_id,
        "auth_time": principal.auth_time,
        "acr": principal.acr,
        "amr": sorted(principal.amr) or None,
    }
    return {name: value for name, value in told.items() if value is not None}

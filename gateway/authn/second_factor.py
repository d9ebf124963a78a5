"""The second factor, proved: one code, counted before it is tried, on a counter apart from the password's (rule 11)."""

from dataclasses import dataclass, field

from gateway.errors import TooManyCodes
from policies.decision import Allow
from policies.throttle import Throttled
from tenants import throttles
from tenants.store import TenantStore
from tenants.users import User


@dataclass(frozen=True, slots=True)
class Code:
    """What somebody typed: a code of an authenticator, or one of the recovery codes."""

    method: str
    unverified: str = field(repr=False)


OTP, RECOVERY = "otp", "recovery"


async def prove(store: TenantStore, user: User, code: Code, *, source: str = "") -> bool:
    """Whether the code is good, now and for the last time. ``source`` is a known device's own budget.

    Only a code of the same kind clears the counter: a recovery code takes back its own attempt and no more.

    Raises:
        TooManyCodes: too many wrong ones before it. This one was not tried.
    """
    counter = throttles.factor(user.id, source)
    match await store.throttles.reserve(counter):
        case Throttled() as throttled:
            raise TooManyCodes(reason="factor_throttled", retry_after=throttled.seconds)
        case Allow():
            pass
    if code.method == RECOVERY:
        if not await store.recovery_codes.redeem(user.id, code.unverified):
            return False
        await store.throttles.refund(counter)
        return True
    if await store.factors.redeem(user.id, code.unverified) is None:
        return False
    await store.throttles.clear(counter)
    return True

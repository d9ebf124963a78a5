"""A password that somebody wants to have: judged by the rules, looked up among the leaked ones, hashed.

Owns the order and the words for what is refused. No transaction may be open: it hashes and may call out.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from gateway.breach import Breaches
from gateway.errors import HashingBusy
from policies.password import Password, PasswordRule, Unacceptable, for_setting, least_length, stands_alone
from tenants.hashing import HashingPool, Verified
from tenants.hashing_queue import HashingUnavailable
from tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """To be stored. ``stands_alone``: long enough for a user without a second factor."""

    hash: str = field(repr=False)
    stands_alone: bool


@dataclass(frozen=True, slots=True)
class RefusedPassword:
    """``reason`` is a stable code, ``text`` what the person reads."""

    reason: str
    text: str


class NewPasswords:
    """``common`` are the passwords that attackers try first."""

    def __init__(self, hashing: HashingPool, breaches: Breaches, common: Container[str]) -> None:
        self._hashing = hashing
        self._breaches = breaches
        self._common = common

    def least_length(self, tenant: Tenant, *, second_factor: bool) -> int:
        """How long it has to be, in characters."""
        required = tenant.people.otp == "required"
        return least_length(tenant.people.password_min_length, second_factor=second_factor or required)

    async def make(
        self, text: str, *, tenant: Tenant, user_name: str, email: str | None, second_factor: bool
    ) -> HashedPassword | RefusedPassword:
        """The hash of a password that may be set for this user.

        Raises:
            HashingBusy: more passwords wait to be hashed than may wait.
        """
        least = self.least_length(tenant, second_factor=second_factor)
        own_words = (tenant.name, tenant.slug, user_name, email or "")
        rule = PasswordRule(min_length=least, own_words=own_words, common=self._common)
        match for_setting(text, rule):
            case Unacceptable(reason):
                return RefusedPassword(reason, _WORDS[reason].format(least=least))
            case Password() as accepted:
                if await self._breaches.known(accepted.text):
                    return RefusedPassword("password_leaked", _WORDS["password_leaked"])
        try:
            hashed = await self._hashing.hash(accepted.text)
        except HashingUnavailable as unavailable:
            raise HashingBusy(reason="hashing_unavailable", retry_after=unavailable.retry_after) from unavailable
        return HashedPassword(hashed, stands_alone(accepted, tenant.people.password_min_length))

    async def is_same(self, text: str | None, stored: str) -> bool:
        """Whether it is the password of this hash.

        Raises:
            HashingBusy: more passwords wait to be hashed than may wait.
        """
        try:
            return isinstance(await self._hashing.verify(stored, text or "", renew=False), Verified)
        except HashingUnavailable as unavailable:
            raise HashingBusy(reason="hashing_unavailable", retry_after=unavailable.retry_after) from unavailable


_WORDS = {
    "password_too_short": "That password is too short: it needs {least} characters or more. Take a few words.",
    "password_too_long": "That password is too long: 1,024 bytes are the most.",
    "password_has_nul": "That password has a character in it that cannot be typed.",
    "password_not_text": "That password has a character in it that cannot be typed.",
    "password_common": "That password is one of those that attackers try first. Choose another one.",
    "password_own_name": "That password is made of your name or of this site's. Choose another one.",
    "password_leaked": "That password is in a published list of stolen passwords. Choose another one.",
}

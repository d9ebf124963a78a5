"""How long what a tenant issues and keeps lasts, and the defaults of all of them (rule 14): one table."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta

from tenants.errors import InvalidValue
from tenants.revocations import LONGEST_ACCESS_TOKEN

_LONGEST_SECONDS = 10 * 366 * 24 * 3600
LONGEST_REFRESH_GRACE = timedelta(minutes=1)
"""No longer than that is a successor kept; and for as long, who stole a spent token can have its successor."""

LONGEST_KNOWN_NETWORK = timedelta(days=366)
"""No longer than that is it remembered which networks a user logged in from."""

_DAY = timedelta(days=1)
# Each with what is said of it. Whoever finds an old one of these can do what its owner can.
_LONGEST: Mapping[str, tuple[timedelta, str]] = {
    "access_token": (LONGEST_ACCESS_TOKEN, f"an access token lives at most {LONGEST_ACCESS_TOKEN}"),
    "refresh_grace": (LONGEST_REFRESH_GRACE, f"the grace of a refresh token is at most {LONGEST_REFRESH_GRACE}"),
    "id_token": (timedelta(hours=1), "an ID token lives at most an hour"),
    "code": (timedelta(minutes=10), "an authorization code lives at most 10 minutes (RFC 6749 section 4.1.2)"),
    "pushed_request": (timedelta(minutes=10), "a pushed authorization request lives at most 10 minutes"),
    "authorization": (_DAY, "an authorization request waits for its user for at most a day"),
    "device_code": (timedelta(hours=1), "a device code lives at most an hour"),
    "login": (timedelta(hours=1), "a login that has begun waits at most an hour for its next step"),
    "mfa_token": (timedelta(hours=1), "an mfa_token waits at most an hour for its code"),
    "reset_link": (_DAY, "a link to a new password works for at most a day"),
    "verification_link": (7 * _DAY, "a link that proves an address works for at most 7 days"),
    "invitation": (90 * _DAY, "an invitation holds for at most 90 days"),
    "trusted_device": (366 * _DAY, "a device is trusted for at most 366 days"),
    "known_device": (366 * _DAY, "a device is known for at most 366 days"),
    "known_network": (LONGEST_KNOWN_NETWORK, f"a network is known for at most {LONGEST_KNOWN_NETWORK.days} days"),
}


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last, and the defaults of all tenants (rule 14). A tenant may set its own.

    ``audit_events`` None: the log keeps what happened for ever. It is stored apart (``audit_retention.py``).
    """

    access_token: timedelta = timedelta(minutes=5)
    id_token: timedelta = timedelta(minutes=5)
    code: timedelta = timedelta(seconds=60)
    pushed_request: timedelta = timedelta(seconds=90)
    authorization: timedelta = timedelta(minutes=30)
    device_code: timedelta = timedelta(minutes=10)
    session_idle: timedelta = timedelta(hours=12)
    session: timedelta = timedelta(days=30)
    refresh_idle: timedelta = timedelta(days=30)
    refresh_absolute: timedelta = timedelta(days=90)
    refresh_grace: timedelta = timedelta(seconds=10)
    login: timedelta = timedelta(minutes=10)
    mfa_token: timedelta = timedelta(minutes=5)
    reset_link: timedelta = timedelta(minutes=30)
    verification_link: timedelta = timedelta(days=1)
    invitation: timedelta = timedelta(days=7)
    trusted_device: timedelta = timedelta(days=30)
    known_device: timedelta = timedelta(days=180)
    known_network: timedelta = timedelta(days=30)
    audit_events: timedelta | None = None

    @classmethod
    def from_seconds(cls, seconds: dict[str, int]) -> "Lifetimes":
        """From what is stored: only what differs from the defaults, in seconds.

        Raises:
            InvalidValue: an unknown name, or a time that is not positive or too long.
        """
        known = {entry.name for entry in fields(cls)}
        if not seconds.keys() <= known:
            raise InvalidValue(f"unknown lifetimes: {', '.join(sorted(seconds.keys() - known))}")
        if any(not 0 < value <= _LONGEST_SECONDS for value in seconds.values()):
            raise InvalidValue("a lifetime is at least a second and at most ten years")
        lifetimes = cls(**{name: timedelta(seconds=value) for name, value in seconds.items()})
        for name, (longest, rule) in _LONGEST.items():
            if getattr(lifetimes, name) > longest:
                raise InvalidValue(rule)
        if lifetimes.audit_events is not None and lifetimes.audit_events < _DAY:
            raise InvalidValue("events of the audit log are kept for at least a day")
        return lifetimes

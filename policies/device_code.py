"""Device codes and user codes (RFC 8628): what a presented device code earns, and how a user code is spelled.

Owns the order of the checks, the pace of polling, and the alphabet of section 6.1. Not the rows, nor the conditional
UPDATE that redeems one; nor whether user, session and scopes still are what they were, which the grant re-checks.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.decision import Allow, Deny

INTERVAL = timedelta(seconds=5)
"""How long a device waits between two polls (section 3.2)."""

SLOWER = timedelta(seconds=5)
"""What a poll that comes too early adds to that, for good (section 3.5)."""

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""Consonants without Y (section 6.1): no word comes out of them, and nothing looks like a digit."""

LENGTH = 8
"""20 to the 8th: 34.5 bits. Guesses are counted, and a code lives for minutes (section 5.1)."""

_GROUP = LENGTH // 2
_CODE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")
_SEPARATORS = re.compile(r"[\s\u2010-\u2015\u2212_.:-]")
_LONGEST_TYPED = 64


@dataclass(frozen=True, slots=True)
class DeviceCodeFacts:
    """A stored device code. ``approved`` and ``denied`` are what a person said; both False: nobody has yet."""

    client_id: str
    expires_at: datetime
    approved: bool = False
    denied: bool = False
    consumed: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody has decided yet. Whether the device asks too often is counted where the polls are."""


DeviceCodeDecision = Allow | Pending | Deny


def decide(code: DeviceCodeFacts, *, client_id: str, now: datetime) -> DeviceCodeDecision:
    """What the code earns when ``client_id`` presents it.

    Denials: ``client_mismatch``, ``device_code_used``, ``device_code_expired``, ``device_code_denied``.
    """
    if code.client_id != client_id:
        return Deny("client_mismatch")
    if code.consumed:
        return Deny("device_code_used")
    if now >= code.expires_at:
        return Deny("device_code_expired")
    if code.denied:
        return Deny("device_code_denied")
    return Allow() if code.approved else Pending()


def normalised(typed: str) -> str | None:
    """The letters of a user code as somebody typed it: capitals, without what separates them. None: it can be none."""
    if len(typed) > _LONGEST_TYPED:
        return None
    plain = _SEPARATORS.sub("", typed)
    if not plain.isascii():  # upper() makes two letters of one sign of another script
        return None
    plain = plain.upper()
    return plain if _CODE.fullmatch(plain) else None


def shown(plain: str) -> str:
    """As people read it: ``WDJB-MJHT``."""
    return f"{plain[:_GROUP]}-{plain[_GROUP:]}"

"""Whether a password is in a published list of stolen ones, without telling anybody which password it is.

k-anonymity by range, as Have I Been Pwned and its mirrors answer it: the first five hex digits of the SHA-1 go out,
hundreds of suffixes come back, and the comparison is made here. The answer is padded, so that its length does not tell
the range either.

It fails open: where the service is away, nobody could set a password, and the shipped list of common ones still counts.
"""

import hashlib
import re
from datetime import timedelta

import structlog

from gateway.outbound import Outbound, OutboundAnswer, OutboundFailed
from gateway.settings import Settings

_log = structlog.get_logger("yett.breach")
_DIGITS = 5
_LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]{1,12})")
_PATIENCE = timedelta(seconds=3)
_LARGEST = 512 * 1024  # a padded range has about a thousand lines of 40 bytes


class Breaches:
    """The service at ``url``, to which five digits are appended; None: there is none."""

    def __init__(self, outbound: Outbound, url: str | None) -> None:
        self._outbound = outbound
        self._url = url

    @classmethod
    def of(cls, settings: Settings) -> "Breaches":
        """The configured service, asked within what a person waits for a page."""
        outbound = Outbound(settings.outbound_networks, timeout=_PATIENCE, max_bytes=_LARGEST)
        return cls(outbound, settings.breach_lookup)

    async def known(self, password: str) -> bool:
        """Whether this password (in NFC, as it is hashed) was stolen; False where nobody can be asked."""
        if self._url is None:
            return False
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            answer = await self._outbound.get(self._url + digest[:_DIGITS], headers={"Add-Padding": "true"})
            return _count(answer, digest[_DIGITS:]) > 0
        except OutboundFailed as failed:
            _log.warning("breach_lookup_failed", reason=failed.reason)
            return False


def _count(answer: OutboundAnswer, suffix: str) -> int:
    """How often the password with this suffix was seen. Lines with a count of 0 are padding.

    Raises:
        OutboundFailed: the service says something else than a range.
    """
    if answer.status != 200:
        raise OutboundFailed(f"status_{answer.status}")
    lines = answer.body.decode("ascii", "replace").split()
    counts = {found[1].upper(): int(found[2]) for line in lines if (found := _LINE.fullmatch(line))}
    if not counts:
        raise OutboundFailed("answer_malformed")
    return counts.get(suffix, 0)

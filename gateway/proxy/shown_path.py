"""A path as logs have it: without a token or a key of ours, which somebody may write into it by mistake.

By shape: whoever holds a log must not hold what opens an API. Other secrets in paths are their API's to avoid.
"""

import re
from typing import Final

from gateway.telemetry import REDACTED, SECRET_PREFIXES

_OURS: Final = "|".join(SECRET_PREFIXES)
_JWT: Final = r"eyJ(?:(?!eyJ)[A-Za-z0-9_-]){8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+"
# Nothing is read twice, whatever a stranger writes: each beginning of a JWT ends at the next one at the latest.
_SECRET: Final = re.compile(rf"(?:{_OURS})_[A-Za-z0-9_-]{{32,}}+|{_JWT}")


def shown_path(raw: bytes) -> str:
    """Each byte as a character, but for what looks like a secret."""
    return _SECRET.sub(REDACTED, raw.decode("latin-1"))

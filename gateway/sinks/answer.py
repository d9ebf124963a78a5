"""What a receiver answered, read as what it is: a stranger's text."""

import json
from typing import Any


def json_of(body: bytes) -> Any:
    """The value; None where it is no JSON, or nested too deep to be anybody's answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

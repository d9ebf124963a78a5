"""What an answer means to a load test: it did what it should, it asks to wait, or it failed, and with what code."""

import json
from collections.abc import Collection
from dataclasses import dataclass

_MAX_CODE = 80


@dataclass(frozen=True, slots=True)
class Done:
    """An expected status."""


@dataclass(frozen=True, slots=True)
class Wait:
    """429 or 503 with ``Retry-After`` (RFC 9110 section 10.2.3, in seconds): refused in good order."""

    status: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Anything else. The text groups equal failures, so it holds nothing that is particular to one request."""

    text: str


Answer = Done | Wait | Failed


def judge(
    status: int,
    expected: Collection[int],
    *,
    retry_after: str | None,
    body: bytes | None,
    error: BaseException | None,
) -> Answer:
    """``status`` 0 is no answer at all; ``error`` then says why."""
    if status in expected:
        return Done()
    if status in (429, 503) and retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return Wait(status, int(retry_after))
    if status == 0:
        return Failed(f"no answer: {type(error).__name__}")
    return Failed(f"{status} {code_of(body)}")


def code_of(body: bytes | None) -> str:
    """The ``error`` of RFC 6749 or the ``code`` of a problem (RFC 9457); never free text, which may hold a token."""
    try:
        said = json.loads(body or b"")
    except (ValueError, RecursionError):
        return "(no code)"
    for name in ("error", "code"):
        if isinstance(said, dict) and isinstance(said.get(name), str):
            return str(said[name])[:_MAX_CODE]
    return "(no code)"


def tenants_seen(body: bytes | None) -> list[str] | None:
    """Every ``X-Yett-Tenant`` that the demo's echo API saw; None where the answer is not the echo's."""
    try:
        said = json.loads(body or b"")
        headers = said["headers"]
        return [value for name, value in headers if name.lower() == "x-yett-tenant"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None

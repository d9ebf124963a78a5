"""One request, judged and booked in its row. Every step goes through here.

Owns what counts as done, what as a wait, what as a failure. Locust's client does the rest; it is taken as it is, so
that this needs no locust to be imported.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never, get_args

import gevent

from scenarios.accounts import Account, address_of
from scenarios.answers import Answer, Done, Failed, Wait, judge
from scenarios.rows import told_to_wait

Spread = Literal["no", "account", "request"]
SPREADS: tuple[Spread, ...] = get_args(Spread)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Check = Callable[[bytes, str], str | None]
"""What is wrong with a body and a ``Location`` (empty without one) whose status is right; None where nothing is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``status`` 0 is no answer at all."""

    answer: Answer
    status: int
    body: bytes = field(repr=False)
    location: str = field(repr=False)


def _in_order(_body: bytes, _location: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """``client`` is one user's ``FastHttpSession``. ``spread`` is what has an address of its own each, sent as
    ``X-Forwarded-For``: nothing, an account (and an attacker), or a request.
    """

    client: Any
    spread: Spread
    fail_on_wait: bool
    max_wait: float

    def send(
        self,
        row: str,
        method: str,
        url: str,
        *expected: int,
        sender: Account | str,
        check: Check = _in_order,
        patient: bool = True,
        **more: Any,
    ) -> Reply:
        """Send it and book it. Who is ``patient`` waits as long as ``Retry-After`` says, if that is not too long."""
        headers = dict(more.pop("headers", {}))
        if self.spread != "no":
            headers["X-Forwarded-For"] = self._address(sender)
        seconds = 0.0
        with self.client.request(
            method, url, name=row, catch_response=True, headers=headers, allow_redirects=False, **more
        ) as response:
            fields = response.headers if response.headers is not None else {}
            body = response.content or b""
            answer = self._judged(response, fields, body, expected, check)
            match answer:
                case Done():
                    response.success()
                case Wait(status, asked):
                    response.request_meta["name"] = told_to_wait(row, status)
                    response.success()
                    seconds = min(float(asked), self.max_wait) if patient else 0.0
                case Failed(text):
                    response.failure(text)
                case other:
                    assert_never(other)
        # Behind the block, so that the pause is no part of the request.
        gevent.sleep(seconds)
        return Reply(answer, response.status_code, body, fields.get("Location") or "")

    def _address(self, sender: Account | str) -> str:
        if isinstance(sender, str):
            return sender
        return sender.address if self.spread == "account" else address_of(secrets.randbits(16), attacker=False)

    def _judged(self, response: Any, fields: Any, body: bytes, expected: tuple[int, ...], check: Check) -> Answer:
        error = getattr(response, "error", None)  # locust sets it only where no answer came
        match judge(response.status_code, expected, retry_after=fields.get("Retry-After"), body=body, error=error):
            case Wait(status, _) if self.fail_on_wait:
                return Failed(f"{status} with Retry-After")
            case Done() if (wrong := check(body, fields.get("Location") or "")) is not None:
                return Failed(wrong)
            case answer:
                return answer

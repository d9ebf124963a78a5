"""A user with tokens: how they come by them, what they call with them, and how they give them back."""

import json
import random
import time
from dataclasses import dataclass
from typing import Any

import gevent

from scenarios import rows
from scenarios.accounts import Account, Turn
from scenarios.answers import Done, Failed, Wait, code_of, tenants_seen
from scenarios.exchange import FORM, Check, Exchange, Reply
from scenarios.mix import Mix
from scenarios.revocation import Watch

_MFA_OTP = "urn:yett:params:oauth:grant-type:mfa-otp"
_PROBE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """What is under load: base URLs without a slash at the end, and the client that asks for tokens."""

    identity: str
    api: str
    client_id: str
    scope: str

    def issuer(self, account: Account) -> str:
        """Of the account's tenant."""
        return f"{self.identity}/t/{account.tenant}"


class Session:
    """One at a time. Tokens stay in memory and are never part of a row's name."""

    def __init__(self, exchange: Exchange, target: Target, password: str, rng: random.Random) -> None:
        self._exchange, self._target, self._password, self._rng = exchange, target, password, rng
        self._account: Account | None = None
        self._access_token = self._refresh_token = ""
        self._expires_at = 0.0

    @property
    def stands(self) -> bool:
        """Whether there is a token to call with."""
        return bool(self._access_token)

    def expires_within(self, seconds: float) -> bool:
        """Whether it is time for a new one."""
        return time.monotonic() > self._expires_at - seconds

    def log_in(self, turn: Turn) -> None:
        """The password grant, and the code behind it where the account has an authenticator."""
        form = {"grant_type": "password", "username": turn.account.username, "password": self._password}
        if not turn.code:
            self.ask(rows.LOGIN, turn.account, form | self._scope())
            return
        reply = self._token(rows.PASSWORD, turn.account, form | self._scope(), 400, check=_with_code("mfa_required"))
        if isinstance(reply.answer, Done):
            token = json.loads(reply.body)["mfa_token"]
            self.ask(rows.OTP, turn.account, {"grant_type": _MFA_OTP, "mfa_token": token, "otp": turn.code})

    def refresh(self) -> None:
        """Where there is no refresh token the session ends, so that the next step logs in."""
        if self._account is None or not self._refresh_token:
            self._forget()
            return
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        self.ask(rows.REFRESH, self._account, form | self._scope())

    def ask(self, row: str, account: Account, form: dict[str, str]) -> None:
        """A request of the token endpoint, and what it gives is this session's from now on."""
        reply = self._token(row, account, form, 200)
        match reply.answer:
            case Done():
                said = json.loads(reply.body)
                self._account = account
                self._access_token = said["access_token"]
                self._refresh_token = said.get("refresh_token", "")
                self._expires_at = time.monotonic() + float(said["expires_in"])
            case Failed():
                self._forget()  # whether a refresh token was spent is not known: the next step logs in
            case Wait():
                pass  # nothing was spent, so the session goes on

    def call(self, mix: Mix, anybody: Account) -> None:
        """One call of the API. Without a token (a login was refused) there is nothing to call with."""
        number, api = self._rng.randrange(1_000_000), self._target.api
        match mix.choose(self._rng):
            case "public":
                self._exchange.send(rows.PUBLIC, "GET", f"{api}/public/{number}", 200, sender=self._account or anybody)
            case "read" if self._account is not None:
                self._own(rows.READ, "GET", f"{api}/orders/{number}", self._account)
            case "write" if self._account is not None:
                self._own(rows.WRITE, "POST", f"{api}/orders", self._account, json={"number": number})

    def revoke(self, within: float) -> tuple[float, str | None] | None:
        """Give the access token back (RFC 7009), and ask the API until it refuses it.

        Gives the milliseconds that took, and what was wrong if it was not within so many seconds; None where the token
        could not be given back. Each question comes on a connection of its own, so that any process may answer it.
        """
        if self._account is None:
            return None
        account, token = self._account, self._access_token
        url = f"{self._target.issuer(account)}/revoke"
        form = {"token": token, "client_id": self._target.client_id}
        reply = self._exchange.send(rows.REVOKE, "POST", url, 200, sender=account, data=form, headers=FORM)
        watch = Watch(time.perf_counter(), within)
        self._forget()
        if not isinstance(reply.answer, Done):
            return None
        headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
        while watch.goes_on:
            number = self._rng.randrange(1_000_000)
            probe = self._exchange.send(
                rows.PROBE, "GET", f"{self._target.api}/orders/{number}", 200, 401, sender=account, headers=headers
            )
            watch.saw(probe.status, time.perf_counter())
            gevent.sleep(_PROBE_SECONDS)
        return watch.milliseconds, watch.wrong

    def _own(self, row: str, method: str, url: str, account: Account, **more: Any) -> Reply:
        """With this user's token, so the API must see this user's tenant."""
        headers = {"Authorization": f"Bearer {self._access_token}"}
        return self._exchange.send(
            row, method, url, 200, sender=account, check=_seen_as(account.tenant), headers=headers, **more
        )

    def _token(self, row: str, account: Account, form: dict[str, str], status: int, **more: Any) -> Reply:
        fields = form | {"client_id": self._target.client_id}
        url = f"{self._target.issuer(account)}/token"
        return self._exchange.send(row, "POST", url, status, sender=account, data=fields, headers=FORM, **more)

    def _scope(self) -> dict[str, str]:
        return {"scope": self._target.scope} if self._target.scope else {}

    def _forget(self) -> None:
        self._account = None
        self._access_token = self._refresh_token = ""


def _seen_as(tenant: str) -> Check:
    def check(body: bytes, _location: str) -> str | None:
        return None if tenants_seen(body) in (None, [tenant]) else "the API saw another tenant"

    return check


def _with_code(code: str) -> Check:
    def check(body: bytes, _location: str) -> str | None:
        return None if code_of(body) == code else f"not {code} but {code_of(body)}"

    return check

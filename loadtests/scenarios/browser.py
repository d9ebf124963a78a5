"""A browser: the login page with its form, the code of an authenticator behind it, and the code flow with PKCE."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from scenarios import rows
from scenarios.accounts import Turn
from scenarios.answers import Done
from scenarios.exchange import FORM, Check, Exchange
from scenarios.forms import hidden_fields
from scenarios.session import Session, Target


@dataclass(frozen=True, slots=True)
class Browser:
    """Somebody's, without a cookie at the beginning of each login."""

    exchange: Exchange
    target: Target
    password: str
    redirect_uri: str

    def log_in(self, turn: Turn) -> None:
        """The login page, its form, and where that leads: the account."""
        self.exchange.client.cookiejar.clear()
        there = self._through_pages(f"{self.target.issuer(turn.account)}/login", turn)
        if there:
            self.exchange.send(rows.ACCOUNT_PAGE, "GET", there, 200, sender=turn.account)

    def code_flow(self, turn: Turn, session: Session) -> None:
        """RFC 6749 section 4.1 with RFC 7636: to ``/authorize``, through the pages, back with a code, to ``/token``."""
        self.exchange.client.cookiejar.clear()
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        wish = {
            "response_type": "code",
            "client_id": self.target.client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
            "code_challenge": urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | ({"scope": self.target.scope} if self.target.scope else {})
        asked = f"{self.target.issuer(turn.account)}/authorize?{urlencode(wish)}"
        page = self._authorize(rows.AUTHORIZE, asked, turn, _to_login)
        back = self._authorize(rows.AUTHORIZED, self._through_pages(page, turn), turn, _with_code(state))
        if not back:
            return  # refused on the way, and that request's row says how
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        session.ask(rows.REDEEM, turn.account, form)

    def _authorize(self, row: str, url: str, turn: Turn, check: Check) -> str:
        """Where it leads; empty where it leads nowhere."""
        if not url:
            return ""
        reply = self.exchange.send(row, "GET", url, 302, 303, sender=turn.account, check=check)
        return urljoin(url, reply.location) if isinstance(reply.answer, Done) else ""

    def _through_pages(self, page: str, turn: Turn) -> str:
        """Fill the login page in, and the one that asks for a code. Where they lead; empty where they lead nowhere."""
        fields = {"username": turn.account.username, "password": self.password}
        there = self._fill_in(rows.LOGIN_PAGE, page, turn, fields)
        if there and turn.code:
            return self._fill_in(rows.OTP_PAGE, there, turn, {"otp": turn.code})
        return there

    def _fill_in(self, row: str, url: str, turn: Turn, fields: dict[str, str]) -> str:
        if not url:
            return ""
        page = self.exchange.send(row, "GET", url, 200, sender=turn.account)
        if not isinstance(page.answer, Done):
            return ""
        form: dict[str, Any] = hidden_fields(page.body) | fields
        headers = FORM | {"Origin": self.target.identity}
        action = urlsplit(url)._replace(query="").geturl()
        sent = self.exchange.send(row, "POST", action, 303, sender=turn.account, data=form, headers=headers)
        return urljoin(url, sent.location) if isinstance(sent.answer, Done) else ""


def _to_login(_body: bytes, location: str) -> str | None:
    return None if urlsplit(location).path.endswith("/login") else f"no login page, but {_error_in(location)}"


def _with_code(state: str) -> Check:
    def check(_body: bytes, location: str) -> str | None:
        said = parse_qs(urlsplit(location).query)
        return None if "code" in said and said.get("state") == [state] else f"no code, but {_error_in(location)}"

    return check


def _error_in(location: str) -> str:
    """RFC 6749 section 4.1.2.1; nothing else of an address, which may hold a secret."""
    return parse_qs(urlsplit(location).query).get("error", ["somewhere else"])[0][:80]

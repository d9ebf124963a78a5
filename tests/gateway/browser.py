"""A browser without JavaScript for tests of pages: cookies, redirects, forms, and the headers that browsers send."""

import email
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from tests.gateway.world import ADDRESS, PUBLIC_URL, World

_MAX_REDIRECTS = 5


@dataclass
class Form:
    """A form as it stands in a page."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
            self._open = True
        elif tag in ("input", "button") and self._open and values.get("name"):
            if values.get("type") in ("checkbox", "radio"):
                return
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


@dataclass
class Browser:
    """One browser at one tenant, at ``site`` where that has its own. ``page`` is the last answer, ``path`` its address
    after redirects.
    """

    world: World
    slug: str = "acme"
    address: str = ADDRESS
    headers: dict[str, str] = field(
        default_factory=lambda: {"Origin": PUBLIC_URL, "User-Agent": "Mozilla/5.0 Firefox/150.0"}
    )
    site: str = PUBLIC_URL
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        client = self.world.client(address=self.address, base_url=self.site)
        self.client = await self._stack.enter_async_context(client)
        self.base = f"/t/{self.slug}" if self.site == PUBLIC_URL else ""
        self.headers["Origin"] = self.site
        self.path = self.base
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def get(self, path: str) -> httpx.Response:
        """Go to an address below the issuer, or to a whole path, and follow where it leads on this site."""
        return await self._follow("GET", path if path.startswith("/t/") else self.base + path)

    async def submit(self, *, form: int = 0, to: str | None = None, **fields: str) -> httpx.Response:
        """Fill in a form of the page and send it, then follow."""
        found = self.forms[form]
        return await self._follow("POST", to or urljoin(self.path, found.action), {**found.fields, **fields})

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send what no page has asked for; nothing is followed."""
        merged = {**self.headers, **headers}
        return await self.client.post(self.base + path, data=fields, headers={k: v for k, v in merged.items() if v})

    async def log_in(self, name: str = "alice", password: str | None = None) -> httpx.Response:
        """Name and password, at the login page."""
        await self.get("/login")
        known = self.world.acme if self.slug == "acme" else self.world.globex
        return await self.submit(username=name, password=known.password if password is None else password)

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        parser = _Forms()
        parser.feed(self.page.text)
        return parser.forms

    @property
    def at(self) -> str:
        """Where it is, below the issuer."""
        return self.path.removeprefix(self.base)

    def cookie(self, kind: str) -> str | None:
        """The value of one of our cookies."""
        prefix = "__Host-" if self.site.startswith("https:") else ""
        return self.client.cookies.get(f"{prefix}yett-{self.slug}-{kind}")

    def error(self) -> str:
        """What the page's alert says."""
        found = re.search(r'role="alert"[^>]*>(.*?)</', self.page.text, re.DOTALL)
        return "" if found is None else re.sub(r"<[^>]*>", "", found[1]).strip()

    def wrong(self) -> list[str]:
        """The fields that the page marks as wrong."""
        fields = re.findall(r"<input\b[^>]*>", self.page.text)
        names = [re.search(r' name="([^"]*)"', field) for field in fields if 'aria-invalid="true"' in field]
        return [found[1] for found in names if found is not None]

    async def _follow(self, method: str, path: str, data: dict[str, str] | None = None) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS):
            headers = self.headers if method == "POST" else {"User-Agent": self.headers["User-Agent"]}
            self.page = await self.client.request(method, path, data=data, headers=headers)
            self.path = path
            if self.page.status_code != 303:
                return self.page
            to = self.page.headers["location"]
            if not to.startswith("/"):
                return self.page
            method, path, data = "GET", to, None
        raise AssertionError(f"more than {_MAX_REDIRECTS} redirects, the last to {path}")


def letters(world: World) -> list[EmailMessage]:
    """What was sent so far, oldest first."""
    folder = world.installation.settings.mail.directory
    assert folder is not None
    files = sorted(Path(folder).glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [email.message_from_bytes(path.read_bytes(), policy=default) for path in files]  # type: ignore[misc]


def link_in(letter: EmailMessage) -> str:
    """The path and query of the one link of a letter."""
    body = letter.get_body(("plain",))
    assert body is not None
    found = re.findall(r"https?://\S+", body.get_content())
    assert len(set(found)) == 1, found
    parts = urlsplit(found[0])
    return f"{parts.path}?{parts.query}"

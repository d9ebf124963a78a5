"""The documents as a site: it builds without a warning, every link leads somewhere, nothing comes from elsewhere."""

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parent.parent
_FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
    "object": "data",
}
_FETCHING = ("stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest")


class Page(HTMLParser):
    """What a page links to, what a browser fetches for it, and what can be linked to in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.policy = file, ""
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and set(values.get("rel", "").split()) & set(_FETCHING):
            self.fetched.append(values["href"])
        elif _FETCHED.get(tag, "") in values:
            self.fetched.append(values[_FETCHED[tag]])
        elif tag == "meta" and values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does. A page that is in no menu, or a link to nothing, is a warning, and fails here."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in site.rglob("*.html")}


def leads_nowhere(page: Page, link: str, pages: dict[Path, Page], site: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    path = unquote(parts.path)
    target = site / path.lstrip("/") if path.startswith("/") else page.file.parent / path if path else page.file
    target = (target / "index.html" if target.is_dir() else target).resolve()
    if target not in pages:
        return not target.is_file()
    return bool(parts.fragment) and unquote(parts.fragment) not in pages[target].ids


def test_every_link_of_the_site_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 30
    lost = [
        f"{file.relative_to(site)}: {link}"
        for file, page in pages.items()
        for link in page.links
        if leads_nowhere(page, link, pages, site)
    ]
    assert not lost


def test_no_page_fetches_anything_from_another_origin(site: Path, pages: dict[Path, Page]) -> None:
    assert all(page.fetched for page in pages.values())
    foreign = [
        f"{file.relative_to(site)}: {address}"
        for file, page in pages.items()
        for address in page.fetched
        if (parts := urlsplit(address)).netloc or parts.scheme not in ("", "data")
    ]
    assert not foreign
    styles = [
        file.name for file in site.rglob("*.css") if "url(http" in (text := file.read_text()) or "@import" in text
    ]
    assert not styles


def test_a_browser_is_told_to_fetch_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert all(page.policy.startswith("default-src 'self';") for page in pages.values())
    assert not [page.file for page in pages.values() if "http" in page.policy or "*" in page.policy]


def test_the_search_finds_pages_of_every_folder(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"", "SECURITY/", "docs/operations/", "docs/provider/dpop/", "helm/"} <= found

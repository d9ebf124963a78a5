"""What a browser sends back of a page as it is: the hidden fields of its first form that is posted."""

from html.parser import HTMLParser


def hidden_fields(page: bytes) -> dict[str, str]:
    """Names and values; none where the page has no such form."""
    reader = _Reader()
    reader.feed(page.decode("utf-8", "replace"))
    reader.close()
    return reader.fields


class _Reader(HTMLParser):
    """Fills ``fields``."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._forms = 0
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and found.get("method", "").lower() == "post":
            self._forms += 1
            self._inside = self._forms == 1
        elif tag == "input" and self._inside and found.get("type") == "hidden":
            self.fields[found.get("name", "")] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

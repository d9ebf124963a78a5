"""A page's elements, as any HTML parser finds them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "img", "path", "br"}


@dataclass
class Element:
    """A start tag, the text inside it and what it stands in."""

    tag: str
    attributes: dict[str, str | None]
    parent: "Element | None"
    text: str = ""

    def inside(self, other: "Element") -> bool:
        """Whether it stands in the other, at any depth."""
        return self.parent is other or (self.parent is not None and self.parent.inside(other))


@dataclass
class Markup(HTMLParser):
    """All elements of a document, in its order."""

    source: str
    elements: list[Element] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        assert not self._open, f"{self._open[-1].tag} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        element = Element(tag, dict(attrs), self._open[-1] if self._open else None)
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> Iterator[Element]:
        """Those with one of these names."""
        return (element for element in self.elements if element.tag in tags)

    def named(self, name: str) -> Element:
        """The one field of a form with this name."""
        (found,) = (element for element in self.elements if element.attributes.get("name") == name)
        return found

    def by_id(self, name: str) -> Element:
        """The one element with this id."""
        (found,) = (element for element in self.elements if element.attributes.get("id") == name)
        return found

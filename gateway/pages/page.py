"""A page as a value: what a handler answers with, and the renderer makes a response of."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Page:
    """A template's name and what it is to say.

    ``title`` stands before the tenant's name in the browser's tab. ``context`` is plain text (what is no ``Markup`` is
    escaped). ``headers`` come on top of those that every page has, and replace one of the same name. ``scripted``: it
    loads the one script that there is, which sends its form.
    """

    template: str
    title: str
    context: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    scripted: bool = False

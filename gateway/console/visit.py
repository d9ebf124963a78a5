"""What a page of the console is handed, and what it answers with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.console.api import Api
from gateway.console.place import Place
from gateway.form import NO_FORM, Form


@dataclass(frozen=True, slots=True)
class Visit:
    """``slug`` is the tenant that is looked at, where a page is one of a tenant's."""

    place: Place
    api: Api
    slug: str
    parameters: Mapping[str, str]
    query: Form
    form: Form = NO_FORM

    @property
    def api_tenant(self) -> str:
        """The path of that tenant among the API's operations."""
        return f"/tenants/{self.slug}"

    @property
    def here(self) -> str:
        """The path of that tenant's pages."""
        return self.place.of_tenant(self.slug)

    def given(self, *names: str) -> dict[str, str]:
        """Those parameters of the query that say something."""
        return {name: text for name in names if (text := (self.query.optional(name) or "").strip())}


@dataclass(frozen=True, slots=True)
class Show:
    """A template and what it says. ``script``: the name of the one script that the page loads."""

    template: str
    title: str
    context: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """To another page of the console, by a path that the browser sees."""

    to: str


Answer = Show | Go
Handler = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address: ``path`` below the console or, with ``of_tenant``, below a tenant's pages. ``operators``: it is on
    the management listener alone.
    """

    path: str
    show: Handler | None = None
    submit: Handler | None = None
    of_tenant: bool = False
    operators: bool = False

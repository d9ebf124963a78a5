"""What pages of other origins may do at a route (Fetch, CORS), as a value; and at a path where the tenant decides
which route it is.

A preflight has no token, so nobody knows whose route it asks about: it is told what any of those that may answer would
allow to its origin; and that it may send cookies only where each of them allows that. The answer to the request itself
is then as strict as the route that was found.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from functools import reduce

from policies.web_origin import allowed, listed_as

EVERY_PAGE = "*"
_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PageRules:
    """``origins`` are web origins, loopback hosts with ``*`` for any port, or ``*`` alone for every page.

    ``headers`` None: whatever a page asks to send. ``registered``: pages whose origins the clients of the caller's
    tenant registered may, too. ``max_age`` is in seconds.
    """

    origins: frozenset[str] = frozenset()
    headers: tuple[str, ...] | None = None
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 600
    registered: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where a browser's cookies would go along for pages that nobody named here."""
        if self.credentials and (EVERY_PAGE in self.origins or self.registered):
            raise ValueError("credentials are for the pages of listed origins only")

    def find(self, origin: str, registered: Set[str]) -> "PageRules | None":
        """The rules for a page of this origin; ``registered`` are the origins of the tenant's clients."""
        if EVERY_PAGE in self.origins or allowed(origin, self.origins):
            return self
        return self if self.registered and allowed(origin, registered) else None


class PageRulesOfSome:
    """What one or other of several routes allows, by origin, so that there may be thousands of them. ``None`` among
    the rules is a route that has none.

    ``credentialed`` are the origins, as listed, to which each of the routes allows credentials.
    """

    __slots__ = ("_by_origin", "_every_page", "_registered", "any", "credentialed")

    def __init__(self, rules: Iterable[PageRules | None]) -> None:
        given = tuple(dict.fromkeys(rules))
        distinct = [one for one in given if one is not None]
        self.any = bool(distinct)
        self.credentialed = _to_all(one.origins if one is not None and one.credentials else _NOBODY for one in given)
        by_origin: dict[str, list[PageRules]] = {}
        for one in distinct:
            for origin in one.origins:
                by_origin.setdefault(origin, []).append(one)
        registered = [one for one in distinct if one.registered]
        self._registered = reduce(_both, registered) if registered else None
        joined = {origin: reduce(_both, listing) for origin, listing in by_origin.items()}
        self._every_page = joined.pop(EVERY_PAGE, None)
        self._by_origin = joined

    def find(self, origin: str, registered: Set[str]) -> PageRules | None:
        """The rules for a page of this origin; ``registered`` are the origins of all tenants' clients."""
        found = [one for spelling in listed_as(origin) if (one := self._by_origin.get(spelling)) is not None]
        if self._registered is not None and allowed(origin, registered):
            found.append(self._registered)
        if self._every_page is not None:
            found.append(self._every_page)
        return _for_any(found, origin, self.credentialed)


class PageRulesOfAny:
    """What one or other of several such collections allows."""

    __slots__ = ("_credentialed", "_parts", "any")

    def __init__(self, parts: Iterable[PageRulesOfSome]) -> None:
        given = tuple(parts)
        self._credentialed = _to_all(part.credentialed for part in given)
        self._parts = tuple(part for part in given if part.any)
        self.any = bool(self._parts)

    def find(self, origin: str, registered: Set[str]) -> PageRules | None:
        """The rules for a page of this origin; ``registered`` are the origins of all tenants' clients."""
        found = [one for part in self._parts if (one := part.find(origin, registered)) is not None]
        return _for_any(found, origin, self._credentialed)


def _to_all(allowing: Iterable[frozenset[str]]) -> frozenset[str]:
    found = tuple(allowing)
    return found[0].intersection(*found[1:]) if found else _NOBODY


def _for_any(found: list[PageRules], origin: str, credentialed: Set[str]) -> PageRules | None:
    """A browser that is told yes sends its cookies whichever route then answers: so each has to allow that."""
    if not found:
        return None
    return replace(reduce(_both, found), credentials=allowed(origin, credentialed))


def _both(one: PageRules, other: PageRules) -> PageRules:
    """All that one or the other allows. They are for the same page, so it is allowed nothing that neither does."""
    open_headers = one.headers is None or other.headers is None
    return replace(
        one,
        origins=one.origins & other.origins,
        headers=None if open_headers else tuple(dict.fromkeys((*(one.headers or ()), *(other.headers or ())))),
        expose=tuple(dict.fromkeys((*one.expose, *other.expose))),
        credentials=one.credentials and other.credentials,
        max_age=min(one.max_age, other.max_age),
        registered=one.registered and other.registered,
    )

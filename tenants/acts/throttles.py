"""What slows somebody down in a tenant, as administrators see it: named by its kind and a digest, never by a name."""

import re
from typing import Final

from tenants.acts.by import By
from tenants.errors import NotFound
from tenants.store import TenantStore
from tenants.throttles import KINDS, Counter

_SUBJECT: Final = re.compile(r"[0-9a-f]{64}")


def name_of(counter: Counter) -> str:
    """How it is named: ``network-`` and 64 hexadecimal digits."""
    return f"{counter.kind}-{counter.subject}"


def counter_of(name: str) -> Counter:
    """The counter of a name.

    Raises:
        NotFound: it can be none's.
    """
    kind, _, subject = name.partition("-")
    for known in KINDS:
        if known == kind and _SUBJECT.fullmatch(subject):
            return Counter(known, subject)
    raise NotFound("throttle", name)


async def touched_by(store: TenantStore, counter: Counter) -> frozenset[str]:
    """The scopes of those who may stand behind it: none behind a network, which anybody may come from. Whose account
    it is a digest does not say, so it may be that of whoever may most.
    """
    if counter.kind == "network":
        return frozenset()
    return frozenset[str]().union(*(role.scopes for role in await store.roles.list()))


async def lift(store: TenantStore, by: By, name: str) -> Counter:
    """Who is slowed by it need not wait any more, nor is what was counted held against them. It is to be cleared when
    this is committed, in a transaction of its own (``tenants.throttles``).

    Raises:
        NotFound: it slows nobody now.
    """
    counter = counter_of(name)
    if await store.throttles.find(counter) is None:
        raise NotFound("throttle", name)
    await by.tell(store, "throttle.lifted", throttle=name)
    return counter

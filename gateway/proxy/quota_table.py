"""What callers have spent of the limits of routes, in this process's memory, within a bound.

What is over is as good as forgotten, and is: with each caller that comes new, a few others are looked at. Where all
that is kept still counts, a caller that comes new is refused, and nobody's count is given up for it: whoever can come
from many addresses would else wash off what counts against others. So that one limit's crowd leaves room for the rest,
no limit of a route keeps more than a quarter for any one tenant.

Each process counts for itself. ``spend`` is where a share of a budget that several processes have would come from.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from policies.quota import Exhausted, Quota, Spent, spend

Scope = tuple[UUID | None, str, str]
"""Tenant, route, name of the limit."""
Who = str | bytes | UUID
Account = tuple[Scope, Who, Quota]

_LOOKED_AT = 2  # more than come in, so that what is over goes sooner than anything new comes
_LOOKED_AT_WHEN_FULL = 32


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was counted. ``exhausted`` has the limits that were reached; it is empty where there is no room."""

    exhausted: tuple[tuple[Quota, Exhausted], ...]


class QuotaTable:
    """``most`` callers at a time. ``now`` is nanoseconds of a clock that never goes back."""

    def __init__(self, most: int, now: Callable[[], int]) -> None:
        self._most = most
        self._most_of_one = max(1, most // 4)
        self._now = now
        self._scopes: OrderedDict[Scope, OrderedDict[Who, int]] = OrderedDict()
        self._kept = 0

    def __len__(self) -> int:
        """How many callers are kept."""
        return self._kept

    def spend(self, accounts: Sequence[Account]) -> tuple[Spent, ...] | Refused:
        """One request of each account, or of none of them. The accounts of a request differ by their scopes."""
        now = self._now()
        spent: list[Spent] = []
        exhausted: list[tuple[Quota, Exhausted]] = []
        strangers: list[Scope] = []
        for scope, who, quota in accounts:
            until = self._scopes[scope].get(who) if scope in self._scopes else None
            if until is None:
                strangers.append(scope)
            match spend(quota, until, now):
                case Spent() as one:
                    spent.append(one)
                case Exhausted() as one:
                    exhausted.append((quota, one))
        if exhausted:
            return Refused(tuple(exhausted))
        if strangers and not self._has_room(strangers, now):
            return Refused(())
        for (scope, who, _), one in zip(accounts, spent, strict=True):
            self._keep(scope, who, one.until)
        return tuple(spent)

    def _keep(self, scope: Scope, who: Who, until: int) -> None:
        callers = self._scopes.get(scope)
        if callers is None:
            callers = self._scopes[scope] = OrderedDict()
        if who not in callers:
            self._kept += 1
        callers[who] = until

    def _has_room(self, scopes: list[Scope], now: int) -> bool:
        self._forget_some(now, _LOOKED_AT)
        for scope in scopes:
            self._forget_some_of(scope, now, _LOOKED_AT)
            if len(self._scopes.get(scope, ())) >= self._most_of_one:
                self._forget_some_of(scope, now, _LOOKED_AT_WHEN_FULL)
                if len(self._scopes.get(scope, ())) >= self._most_of_one:
                    return False
        if self._kept + len(scopes) > self._most:
            self._forget_some(now, _LOOKED_AT_WHEN_FULL)
        return self._kept + len(scopes) <= self._most

    def _forget_some(self, now: int, count: int) -> None:
        """What is over in the scope whose turn it is, or in the next ones where that has less."""
        while count > 0 and self._scopes:
            scope = next(iter(self._scopes))
            self._scopes.move_to_end(scope)
            looked_at = min(count, len(self._scopes[scope]))
            self._forget_some_of(scope, now, looked_at)
            count -= looked_at

    def _forget_some_of(self, scope: Scope, now: int, count: int) -> None:
        callers = self._scopes.get(scope)
        if callers is None:
            return
        for _ in range(min(count, len(callers))):
            who, until = callers.popitem(last=False)
            if until > now:
                callers[who] = until  # its turn comes again
            else:
                self._kept -= 1
        if not callers:
            del self._scopes[scope]

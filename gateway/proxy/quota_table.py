"""What callers have spent of the limits of routes, in this process's memory, within a bound.

What is over is as good as forgotten, and is: with each caller that comes new, a few others are looked at. Where all
that is kept still counts, a caller that comes new is refused, and nobody's count is given up for it: whoever can come
from many addresses would else wash off what counts against others. So that a crowd leaves room for the rest, no owner
has more than a quarter, and no limit of a route more than half of that: an owner is a tenant, or all strangers
together. Of tenants and of routes there are no more than the operator has made, so their counts have no bound here.

Where several processes spend from the same budgets, what is spent is noted in the ledger, and corrected by what the
others did (shared_limits.py).
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.proxy.ledger import Key, Ledger
from gateway.proxy.quota_scope import OPERATOR, Owner, QuotaScope, Scope, Who
from policies.quota import Exhausted, Quota, Spent, spend

Account = tuple[Scope, Who, Quota]

_LOOKED_AT = 2  # more than come in, so that what is over goes sooner than anything new comes
_LOOKED_AT_WHEN_FULL = 32


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was counted. ``exhausted`` has the limits that were reached; it is empty where there is no room."""

    exhausted: tuple[tuple[Quota, Exhausted], ...]


@dataclass(slots=True)
class _Share:
    """What is kept for one owner."""

    kept: int = 0
    scopes: OrderedDict[Scope, QuotaScope] = field(default_factory=OrderedDict)


class QuotaTable:
    """``most`` callers at a time. ``now`` is nanoseconds of a clock that never goes back."""

    def __init__(self, most: int, now: Callable[[], int], ledger: Ledger | None = None) -> None:
        self._ledger = Ledger() if ledger is None else ledger
        self._most = most
        self._most_of_owner = max(1, most // 4)
        self._most_of_scope = max(1, most // 8)
        self._now = now
        self._shares: OrderedDict[Owner, _Share] = OrderedDict()
        self._bounded = 0  # of all owners but the operator

    def __len__(self) -> int:
        """How many callers are kept, whole tenants and routes included."""
        return sum(share.kept for share in self._shares.values())

    def spend(self, accounts: Sequence[Account]) -> tuple[Spent, ...] | Refused:
        """One request of each account, or of none of them. The accounts of a request differ by their scopes."""
        now = self._now()
        spent: list[Spent] = []
        exhausted: list[tuple[Quota, Exhausted]] = []
        counted: list[Who] = []
        strangers: list[Scope] = []
        for scope, asked, quota in accounts:
            share = self._shares.get(scope[0])
            callers = None if share is None else share.scopes.get(scope)
            who, until = (asked, None) if callers is None else callers.find(asked)
            counted.append(who)
            if until is None:
                strangers.append(scope)
            match spend(quota, until, now, alike=self._ledger.alike):
                case Spent() as one:
                    spent.append(one)
                case Exhausted() as one:
                    exhausted.append((quota, one))
        if exhausted:
            return Refused(tuple(exhausted))
        if strangers and not self._has_room(strangers, now):
            return Refused(())
        shared = self._ledger.alike > 1
        for (scope, _, quota), who, one in zip(accounts, counted, spent, strict=True):
            self._keep(scope, who, one.until)
            if shared:
                self._ledger.note((scope, who), quota, now)
        return tuple(spent)

    def correct(self, key: Key, until: int) -> None:
        """The moment until which what this caller did counts in truth. Nothing where it is not kept any more."""
        scope, who = key
        share = self._shares.get(scope[0])
        callers = None if share is None else share.scopes.get(scope)
        if callers is not None and who in callers:
            callers.keep(who, until)

    def _keep(self, scope: Scope, who: Who, until: int) -> None:
        share = self._shares.get(scope[0])
        if share is None:
            share = self._shares[scope[0]] = _Share()
        callers = share.scopes.get(scope)
        if callers is None:
            callers = share.scopes[scope] = QuotaScope()
        before = len(callers)
        callers.keep(who, until)
        new = len(callers) - before
        share.kept += new
        if scope[0] is not OPERATOR:
            self._bounded += new

    def _has_room(self, strangers: list[Scope], now: int) -> bool:
        self._forget_some(now, _LOOKED_AT)
        for scope in strangers:
            self._forget_some_of(scope, now, _LOOKED_AT)
        wanted = [scope for scope in strangers if scope[0] is not OPERATOR]
        by_owner = Counter(scope[0] for scope in wanted)
        for scope in wanted:
            if self._kept_of(scope) >= self._most_of_scope:
                self._forget_some_of(scope, now, _LOOKED_AT_WHEN_FULL)
                if self._kept_of(scope) >= self._most_of_scope:
                    return False
        for owner, count in by_owner.items():
            if self._kept_by(owner) + count > self._most_of_owner:
                self._forget_some_by(owner, now, _LOOKED_AT_WHEN_FULL)
                if self._kept_by(owner) + count > self._most_of_owner:
                    return False
        if self._bounded + len(wanted) > self._most:
            self._forget_some(now, _LOOKED_AT_WHEN_FULL)
        return self._bounded + len(wanted) <= self._most

    def _kept_by(self, owner: Owner) -> int:
        share = self._shares.get(owner)
        return 0 if share is None else share.kept

    def _kept_of(self, scope: Scope) -> int:
        share = self._shares.get(scope[0])
        callers = None if share is None else share.scopes.get(scope)
        return 0 if callers is None else len(callers)

    def _forget_some(self, now: int, count: int) -> None:
        """What is over of the owner whose turn it is, or of the next ones where that has less."""
        while count > 0 and self._shares:
            owner = next(iter(self._shares))
            self._shares.move_to_end(owner)
            count -= self._forget_some_by(owner, now, count)

    def _forget_some_by(self, owner: Owner, now: int, count: int) -> int:
        """How many it looked at."""
        share = self._shares.get(owner)
        if share is None:
            return 0
        looked_at = 0
        while looked_at < count and share.scopes:
            scope = next(iter(share.scopes))
            share.scopes.move_to_end(scope)
            some = min(count - looked_at, len(share.scopes[scope]))
            self._forget_some_of(scope, now, some)
            looked_at += some
        return looked_at

    def _forget_some_of(self, scope: Scope, now: int, count: int) -> None:
        owner = scope[0]
        share = self._shares.get(owner)
        callers = None if share is None else share.scopes.get(scope)
        if share is None or callers is None:
            return
        forgotten = callers.forget_some(now, count)
        share.kept -= forgotten
        if owner is not OPERATOR:
            self._bounded -= forgotten
        if not callers:
            del share.scopes[scope]
            if not share.scopes:
                del self._shares[owner]

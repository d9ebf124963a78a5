"""Who logs in: accounts from the command line or from a file, shared out among processes, and whose turn it is."""

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import pyotp

Factor = Literal["without", "with"]
FACTORS: tuple[Factor, ...] = get_args(Factor)

_STEP_SECONDS = 30  # RFC 6238 section 5.2
_NETWORKS = 2**16


@dataclass(frozen=True, slots=True)
class Account:
    """A user of a tenant. ``number`` tells it from the others, ``totp_secret`` is base32 and empty without a factor."""

    number: int
    tenant: str
    username: str
    totp_secret: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """An address of its own, of those that are kept for load tests (RFC 2544 appendix C.2.2)."""
        return address_of(self.number, attacker=False)


def address_of(number: int, *, attacker: bool) -> str:
    """65,536 of people, and as many of attackers; then they begin anew."""
    number %= _NETWORKS
    return f"198.{19 if attacker else 18}.{number >> 8}.{number & 255}"


def named(text: str) -> tuple[Account, ...]:
    """``acme:alice,globex:carol`` as accounts. Raises ``ValueError`` with a sentence."""
    found = []
    for number, entry in enumerate(text.split(",")):
        tenant, colon, username = entry.strip().partition(":")
        if not tenant or not colon or not username:
            raise ValueError(f"{entry.strip()!r} must be TENANT:USER")
        found.append(Account(number, tenant, username))
    return tuple(found)


def read(path: Path) -> tuple[Account, ...]:
    """An accounts file: an object a line, as ``line`` writes it.

    Raises:
        ValueError: there is no such file, or something else in it. The sentence quotes no secret.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the accounts file {path} cannot be read: {type(error).__name__}") from error
    found = []
    for number, text in enumerate(lines):
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        fields = [said.get(name, "") for name in ("tenant", "username", "totp_secret")] if _is_object(said) else []
        if not fields or not all(isinstance(value, str) for value in fields) or not all(fields[:2]):
            raise ValueError(f"line {number + 1} of {path} is no account: a JSON object with tenant and username")
        found.append(Account(number, *fields))
    return tuple(found)


def line(tenant: str, username: str, totp_secret: str) -> str:
    """Of an accounts file."""
    account = {"tenant": tenant, "username": username, "totp_secret": totp_secret}
    return json.dumps({name: value for name, value in account.items() if value}) + "\n"


def of_factor(accounts: Iterable[Account], factor: Factor) -> tuple[Account, ...]:
    """Those with, or without, an authenticator. Raises ``ValueError`` where that is nobody."""
    found = tuple(account for account in accounts if bool(account.totp_secret) == (factor == "with"))
    if not found:
        raise ValueError(f"there is no account {factor} an authenticator")
    return found


def share(accounts: Sequence[Account], index: int, count: int) -> tuple[Account, ...]:
    """What one of ``count`` load generators logs in as. No two have an account in common while there are enough."""
    return tuple(accounts[index % count :: count]) or tuple(accounts)


@dataclass(frozen=True, slots=True)
class Turn:
    """An account that may log in now. ``code`` is what its authenticator shows; empty without one."""

    account: Account
    code: str = field(repr=False)


class Turns:
    """Accounts in turn. One with an authenticator comes once in a time step, since a code is taken once."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        if not accounts:
            raise ValueError("somebody has to log in")
        self._queue = deque(accounts)
        self._used: dict[Account, int] = {}

    def next(self, now: float) -> Turn | float:
        """The next one at this time (seconds since 1970); or how many seconds until somebody has a new code."""
        account, step = self._queue[0], int(now) // _STEP_SECONDS
        if not account.totp_secret:
            self._queue.rotate(-1)
            return Turn(account, "")
        if self._used.get(account) == step:  # it is the one whose turn was longest ago
            return (step + 1) * _STEP_SECONDS - now
        self._queue.rotate(-1)
        self._used[account] = step
        return Turn(account, pyotp.TOTP(account.totp_secret).at(int(now)))


def _is_object(said: object) -> bool:
    return isinstance(said, Mapping)

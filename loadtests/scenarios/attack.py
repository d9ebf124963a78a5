"""Credential stuffing: names and passwords of other sites' leaks, tried once each, from many networks."""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from scenarios import rows
from scenarios.accounts import Account, address_of
from scenarios.answers import code_of
from scenarios.exchange import FORM, Exchange
from scenarios.session import Target

_KNOWN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Attacker:
    """``networks`` are how many it comes from. One name in ten is somebody's here, the others are nobody's."""

    exchange: Exchange
    target: Target
    networks: int
    rng: random.Random

    def attempt(self, accounts: Sequence[Account]) -> None:
        """One. A wrong password that is answered by anything but ``invalid_grant`` is a failure; a wait is not waited
        for, since no attacker does.
        """
        victim = self.rng.choice(accounts)
        known = self.rng.random() < _KNOWN_SHARE
        form = {
            "grant_type": "password",
            "client_id": self.target.client_id,
            "username": victim.username if known else f"{secrets.token_hex(6)}@leaked.example",
            "password": secrets.token_urlsafe(12),
        }
        self.exchange.send(
            rows.WRONG,
            "POST",
            f"{self.target.issuer(victim)}/token",
            400,
            sender=address_of(self.rng.randrange(self.networks), attacker=True),
            check=_refused,
            patient=False,
            data=form,
            headers=FORM,
        )


def _refused(body: bytes, _location: str) -> str | None:
    code = code_of(body)
    return None if code == "invalid_grant" else f"a wrong password was answered {code}"

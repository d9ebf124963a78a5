"""What of an audit log somebody should look at: patterns of many events, and few that should not be.

It is given the log's events in their order and goes by their times, so the same log is always told of in the same way,
however late it is looked at. Owns what each event says of each kind, and the defaults; the counting is ``sightings``'
and ``baseline``'s. What an event says all by itself is ``severity``'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Network, ip_network
from typing import Any, Final, Literal, NamedTuple, get_args

from policies.baseline import Baselines
from policies.configurations import Configurations
from policies.severity import IMPOSSIBLE
from policies.sightings import Rule, Sightings

Kind = Literal[
    "accounts_from_network",
    "networks_of_account",
    "steps_out_of_order",
    "new_device",
    "new_country",
    "client_refusals",
    "config_changed",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

DEFAULTS: Final[Mapping[Kind, Rule]] = {
    "accounts_from_network": Rule(30, timedelta(minutes=10)),
    "networks_of_account": Rule(6, timedelta(hours=1)),  # an account's throttle lets some 13 through in an hour
    "steps_out_of_order": Rule(20, timedelta(hours=1)),
    "new_device": Rule(1, timedelta(days=1)),
    "new_country": Rule(1, timedelta(days=1)),
    "client_refusals": Rule(50, timedelta(minutes=10)),
    "config_changed": Rule(1, timedelta(hours=1)),
}

UNLIKELY: Final = frozenset(
    {
        "assertion_replayed",
        "code_unknown",
        "device_code_unknown",
        "dpop_replayed",
        "form_token_wrong",
        "mfa_token_unknown",
        "redirect_uri_mismatch",
        "refresh_token_unknown",
        "registration_token_replaced",
        "request_object_replayed",
    }
)
"""Reasons of who comes out of turn: with a step before the one that it follows, or with one that was taken before. Each
happens, to who waited too long or sent a form twice; many together do not."""

_GUESSED: Final = frozenset({"unknown_user", "wrong_password", "user_disabled"})
_FACTOR: Final = "wrong_code"
_LOGIN_REFUSED: Final = "login.refused"
_LOGIN_SUCCEEDED: Final = "login.succeeded"
_OF_CLIENTS: Final = frozenset({_LOGIN_REFUSED, "token.refused", "request.refused"})
_OF_STEPS: Final = frozenset({_LOGIN_REFUSED, "token.refused", "page.refused", "registration.refused"})

_CONFIG_TAKEN: Final = "config.taken"

TYPES: Final = frozenset({_LOGIN_SUCCEEDED, _CONFIG_TAKEN}) | _OF_CLIENTS | _OF_STEPS
"""Types of events that say anything here."""

_OF_A_CLIENT: Final = "client_refusals"
_OF_THE_SERVICE: Final = "config_changed"
_OF_OWN_USERS: Final = frozenset({"new_device", "new_country"})
_AT_ONCE: Final = "at_once"
_VERSION = 1
_STRANGERS_IPV6 = 48


class Fact(NamedTuple):
    """One event, or ``times`` alike. ``account`` tells names apart that are nobody's; ``network`` is where it came from
    (``network_of``); ``new_device`` and ``new_country`` (its code): the user had others before, and never this one.
    ``parts`` are of a configuration (``configurations``).
    """

    at: datetime
    id: str
    type: str
    reason: str | None = None
    subject: str | None = None
    account: str | None = None
    client_id: str | None = None
    network: str | None = None
    times: int = 1
    new_device: bool = False
    new_country: str | None = None
    parts: tuple[str, ...] = ()


class Detection(NamedTuple):
    """``fact`` is the event that made it one; ``number`` what was counted by then, and ``mean`` how many there were
    before, where it is compared with that; ``changed`` names what differs in a configuration. ``last``: more of this
    kind may follow, and are not told before the rule's window is over.
    """

    kind: Kind
    fact: Fact
    number: int
    rule: Rule
    mean: int | None = None
    last: bool = False
    changed: Sequence[str] = ()


class _Sighting(NamedTuple):
    """A weight of 0 is enough by itself."""

    kind: Kind
    key: str
    member: str
    weight: int = 1


def network_of(address: str | None) -> str | None:
    """What is likely one party's: an IPv4 address, an IPv6 /48 (who has one has 65,536 networks of those that logins
    are counted by). None where it is no address.
    """
    if not address:
        return None
    try:
        network = ip_network(address, strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen > _STRANGERS_IPV6:
        network = network.supernet(new_prefix=_STRANGERS_IPV6)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


class Watch:
    """Looks through one log. ``rules`` are of the kinds that are switched on; ``stored`` is what an earlier watch of
    this log had in mind. What it had of other kinds is forgotten, and everything that another version wrote.
    """

    def __init__(self, rules: Mapping[Kind, Rule], stored: Mapping[str, Any]) -> None:
        known: Mapping[str, Any] = stored if stored.get("v") == _VERSION else {}
        self._rules = rules
        self._sightings: dict[Kind, Sightings] = {
            kind: Sightings.of(known.get(kind, {}), forgets_told=kind in _OF_OWN_USERS)
            for kind in rules
            if kind not in (_OF_A_CLIENT, _OF_THE_SERVICE)
        }
        # Apart, so that nobody uses up with many what is told of one; nor with what is told of one at once.
        self._at_once = Sightings.of(known.get(_AT_ONCE, {}), forgets_told=True)
        self._clients = Baselines.of(known.get(_OF_A_CLIENT, {}))
        self._configurations = Configurations.of(known.get(_OF_THE_SERVICE, {}))

    def look(self, fact: Fact) -> list[Detection]:
        """What is to be told because of this event."""
        found, at = [], int(fact.at.timestamp())
        for kind, key, member, weight in _sightings(fact):
            rule = self._rules.get(kind)
            if rule is None:
                continue
            seen = self._sightings[kind] if weight else self._at_once
            reached = seen.see(key, member, weight or rule.threshold, at=at, rule=rule)
            if reached is not None:
                found.append(Detection(kind, fact, reached.weight if weight else 1, rule, last=reached.last))
        rule = self._rules.get(_OF_A_CLIENT)
        if rule is not None and fact.client_id is not None and fact.type in _OF_CLIENTS:
            jump = self._clients.count(fact.client_id, fact.times, at=at, rule=rule)
            if jump is not None:
                found.append(Detection(_OF_A_CLIENT, fact, jump.number, rule, mean=jump.mean))
        rule = self._rules.get(_OF_THE_SERVICE)
        if rule is not None and fact.type == _CONFIG_TAKEN:
            changed = self._configurations.take(fact.parts, at=at, rule=rule)
            if changed:
                found.append(Detection(_OF_THE_SERVICE, fact, len(changed), rule, changed=changed))
        return found

    def stored(self) -> dict[str, Any]:
        """What is to be kept until the next look."""
        kept: dict[str, Any] = {kind: held.stored() for kind, held in self._sightings.items()}
        kept[_AT_ONCE] = self._at_once.stored()
        if _OF_A_CLIENT in self._rules:
            kept[_OF_A_CLIENT] = self._clients.stored()
        if _OF_THE_SERVICE in self._rules:
            kept[_OF_THE_SERVICE] = self._configurations.stored()
        return {"v": _VERSION} | {kind: held for kind, held in kept.items() if held}


def _sightings(fact: Fact) -> Iterator[_Sighting]:
    """What one event says of each kind."""
    where = fact.network
    if fact.type == _LOGIN_REFUSED and where is not None:
        if fact.reason in _GUESSED:
            yield _Sighting("accounts_from_network", where, fact.subject or fact.account or fact.id)
        if fact.subject is not None and (fact.reason in _GUESSED or fact.reason == _FACTOR):
            yield _Sighting("networks_of_account", fact.subject, where)
    if fact.type in _OF_STEPS and fact.reason in IMPOSSIBLE:
        yield _Sighting("steps_out_of_order", f"{fact.reason} {fact.client_id or where}", fact.id, 0)
    if fact.type in _OF_STEPS and fact.reason in UNLIKELY:
        yield _Sighting("steps_out_of_order", f"from {where}", fact.id, fact.times)
    if fact.type == _LOGIN_SUCCEEDED and fact.subject is not None:
        if fact.new_device:
            yield _Sighting("new_device", fact.subject, fact.id)
        if fact.new_country is not None:
            yield _Sighting("new_country", fact.subject, fact.id)

"""What a tenant asks of the people who log in: second factors, passwords, devices, whether they may sign up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from policies.login import FactorRule
from policies.password import LEAST_MIN_LENGTH, MOST_MIN_LENGTH
from tenants.errors import InvalidValue
from tenants.names import checked_name
from tenants.user_names import address_key

Otp = Literal["off", "optional", "required"]
_LONGEST_GRACE = timedelta(days=90)
_LONGEST_TEXT = 2000
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PeoplePolicy:
    """One tenant's rules, and the defaults of all tenants.

    ``otp_roles`` must have a second factor even where it is optional for others. ``otp_grace`` runs from
    ``otp_required_since``, or from the making of the user where that is later. ``password_min_length`` None is the
    default of NIST SP 800-63B-4: 8 with a second factor, 15 without. ``mail_sender`` None is the installation's;
    ``mail_texts`` are plain text with ``{name}`` fields, by letter.
    """

    otp: Otp = "optional"
    otp_roles: tuple[str, ...] = ()
    otp_grace: timedelta = timedelta()
    otp_required_since: datetime | None = None
    trusted_devices: bool = False
    sign_up: bool = False
    password_min_length: int | None = None
    mail_sender: str | None = None
    mail_texts: tuple[tuple[str, str], ...] = ()

    def rule_for(self, roles: frozenset[str], *, made_at: datetime) -> FactorRule:
        """What is asked of a user with these roles, who was made at ``made_at``."""
        required = self.otp == "required" or not roles.isdisjoint(self.otp_roles)
        if not required:
            return FactorRule(offered=self.otp != "off", devices_trusted=self.trusted_devices)
        since = made_at if self.otp_required_since is None else max(made_at, self.otp_required_since)
        return FactorRule(offered=True, required_from=since + self.otp_grace, devices_trusted=self.trusted_devices)

    def stored(self) -> dict[str, Any]:
        """Only what differs from the defaults, as JSON."""
        default = PeoplePolicy()
        return {
            entry.name: _plain(getattr(self, entry.name))
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(default, entry.name)
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "PeoplePolicy":
        """What ``stored`` wrote. Raises TypeError for a name that is none."""
        values = dict(stored)
        if "otp_roles" in values:
            values["otp_roles"] = tuple(values["otp_roles"])
        if "otp_grace" in values:
            values["otp_grace"] = timedelta(seconds=values["otp_grace"])
        if "otp_required_since" in values:
            values["otp_required_since"] = datetime.fromtimestamp(values["otp_required_since"], UTC)
        if "mail_texts" in values:
            values["mail_texts"] = tuple(sorted(values["mail_texts"].items()))
        return cls(**values)

    def changed(self, now: datetime, **values: Any) -> "PeoplePolicy":
        """With these fields changed and checked. ``otp_required_since`` follows from them.

        Raises:
            InvalidValue: with the rule.
        """
        policy = replace(self, **values)
        if policy.otp_required_since != self.otp_required_since:
            raise InvalidValue("since when a second factor is required is not to be set: it follows from what is asked")
        policy = replace(
            policy,
            otp_roles=tuple(sorted(set(policy.otp_roles))),
            mail_texts=tuple(sorted(dict(policy.mail_texts).items())),
        )
        if policy.otp not in get_args(Otp):
            raise InvalidValue(f"otp is one of {', '.join(get_args(Otp))}")
        for role in policy.otp_roles:
            checked_name("role", role)
        if not timedelta() <= policy.otp_grace <= _LONGEST_GRACE or policy.otp_grace.microseconds:
            raise InvalidValue(
                f"the grace before a second factor is required is at most {_LONGEST_GRACE.days} days, in whole seconds"
            )
        length = policy.password_min_length
        if length is not None and not LEAST_MIN_LENGTH <= length <= MOST_MIN_LENGTH:
            raise InvalidValue(f"a password's least length is {LEAST_MIN_LENGTH} to {MOST_MIN_LENGTH}")
        if policy.mail_sender is not None:
            _check_sender(policy.mail_sender)
        for letter, text in policy.mail_texts:
            checked_name("letter", letter)
            if len(text) > _LONGEST_TEXT or _UNSTORABLE.search(text):
                raise InvalidValue(
                    f"a letter's text has at most {_LONGEST_TEXT} characters, all of them such as are sent"
                )
        return replace(policy, otp_required_since=self._required_since(policy, now))

    def _required_since(self, policy: "PeoplePolicy", now: datetime) -> datetime | None:
        """``now`` where ``policy`` asks somebody whom this one does not ask: the grace is for them. (Whoever was asked
        before and has not enrolled has it with them; else a change restarts nothing.)
        """
        if policy.otp != "required" and not policy.otp_roles:
            return None
        asked_anew = policy.otp == "required" or not set(policy.otp_roles) <= set(self.otp_roles)
        if self.otp != "required" and asked_anew:
            return now.replace(microsecond=0)  # as it is stored
        return self.otp_required_since


def _check_sender(sender: str) -> None:
    try:
        address_key(sender)
    except InvalidValue as error:
        raise InvalidValue("a sender is an email address, without a name") from error


def _plain(value: object) -> object:
    match value:
        case timedelta():
            return int(value.total_seconds())
        case datetime():
            return int(value.timestamp())
        case tuple(pairs) if pairs and isinstance(pairs[0], tuple):
            return dict(pairs)
        case tuple(items):
            return list(items)
    return value

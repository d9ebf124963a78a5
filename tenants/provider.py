"""What a tenant sets of its OAuth server: registration, its own scopes, how often keys are rotated."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from policies import claim_mapping, scope
from tenants.errors import InvalidValue, Unreadable
from tenants.names import checked_scopes

STANDARD_SCOPES = scope.OPENID
LEAST_ROTATION, _MOST_ROTATION = timedelta(days=2), timedelta(days=3650)
_MOST_SCOPES = 50


@dataclass(frozen=True, slots=True)
class ProviderPolicy:
    """One tenant's, and the defaults of all tenants.

    ``registration``: clients may register themselves with an initial access token (RFC 7591), ``registered_clients`` of
    them at most. ``scope_claims`` are the claims that scopes of the tenant's own release, by scope: a claim's name and
    where its value comes from. ``key_rotation`` is how long a key signs before the next one takes over; None: never by
    itself. ``require_pushed`` asks every client for pushed authorization requests (RFC 9126).
    """

    registration: bool = False
    registered_clients: int = 1000
    scope_claims: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    key_rotation: timedelta | None = timedelta(days=90)
    require_pushed: bool = False

    def stored(self) -> dict[str, Any]:
        """Only what differs from the defaults, as JSON."""
        default = ProviderPolicy()
        return {
            entry.name: _plain(entry.name, getattr(self, entry.name))
            for entry in fields(self)
            if getattr(self, entry.name) != getattr(default, entry.name)
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "ProviderPolicy":
        """What ``stored`` wrote. Raises Unreadable for what it did not."""
        try:
            return cls._read(dict(stored))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise Unreadable(f"options: {error}") from error

    @classmethod
    def _read(cls, values: dict[str, Any]) -> "ProviderPolicy":
        if "scope_claims" in values:
            values["scope_claims"] = tuple(
                (scope, tuple(sorted(claims.items()))) for scope, claims in sorted(values["scope_claims"].items())
            )
        if values.get("key_rotation") is not None:
            values["key_rotation"] = timedelta(seconds=values["key_rotation"])
        return cls(**values)

    def changed(self, **values: Any) -> "ProviderPolicy":
        """With these fields changed and checked.

        Raises:
            InvalidValue: with the rule.
        """
        policy = replace(self, **values)
        if not 0 <= policy.registered_clients <= 100_000:
            raise InvalidValue("at most 100000 clients may register themselves")
        if policy.key_rotation is not None and not LEAST_ROTATION <= policy.key_rotation <= _MOST_ROTATION:
            raise InvalidValue(
                f"a key signs for {LEAST_ROTATION.days} to {_MOST_ROTATION.days} days, or is kept by hand"
            )
        scopes = checked_scopes(name for name, _ in policy.scope_claims)
        if scopes & STANDARD_SCOPES:
            raise InvalidValue(
                f"what {', '.join(sorted(scopes & STANDARD_SCOPES))} releases is OpenID Connect's to say"
            )
        if len(scopes) > _MOST_SCOPES:
            raise InvalidValue(f"at most {_MOST_SCOPES} scopes of a tenant's own release claims")
        for _, claims in policy.scope_claims:
            if (problem := claim_mapping.problem(claims)) is not None:
                raise InvalidValue(problem)
        return policy

    def claims_of(self, scope: str) -> tuple[tuple[str, str], ...]:
        """What a scope of the tenant's own releases: claims' names, and where their values come from."""
        return dict(self.scope_claims).get(scope, ())


def _plain(name: str, value: Any) -> Any:
    match name, value:
        case "scope_claims", _:
            return {scope: dict(claims) for scope, claims in value}
        case _, timedelta():
            return int(value.total_seconds())
    return value

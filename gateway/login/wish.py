"""What somebody who comes to log in is here for: where to go afterwards, how strong and how fresh the login has to be
(RFC 9470). It travels through the pages in hidden fields, so it is checked each time that it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.authn import begun_request
from gateway.form import Form
from policies import acr, return_address
from tenants.store import TenantStore

_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Wish:
    """``return_to`` is None where none was named, or none that may be followed. ``leads_to`` is the origin of the
    application that an authorization request goes back to in the end.
    """

    return_to: str | None = None
    acr: str | None = None
    max_age: timedelta | None = None
    leads_to: str | None = None

    @classmethod
    async def read(cls, store: TenantStore, form: Form, *, base: str) -> "Wish":
        """From a query or a form. What is not understood is left out: it may make a login stronger, never weaker."""
        return_to = form.optional("return_to")
        if return_to is not None and not return_address.is_local(return_to, base=base):
            registered = await store.clients.redirect_uris()
            if not return_address.allowed(return_to, base=base, registered=registered):
                return_to = None
        asked = (form.optional("acr_values") or "").split(" ")
        max_age = form.optional("max_age")
        return cls(
            return_to,
            next((value for value in asked if value in acr.ORDER), None),
            timedelta(seconds=int(max_age)) if max_age is not None and _is_number(max_age) else None,
            await _leads_to(store, return_to, base),
        )

    def hidden(self) -> dict[str, str]:
        """As fields of a form."""
        fields = {"return_to": self.return_to, "acr_values": self.acr, "max_age": self._seconds()}
        return {name: str(value) for name, value in fields.items() if value is not None}

    def stored(self) -> dict[str, Any]:
        """As JSON, for a login that is pending."""
        return {
            "return_to": self.return_to,
            "acr": self.acr,
            "max_age": self._seconds(),
            "leads_to": self.leads_to,
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "Wish":
        """What ``stored`` wrote."""
        max_age = stored["max_age"]
        return cls(
            stored["return_to"],
            stored["acr"],
            None if max_age is None else timedelta(seconds=max_age),
            stored.get("leads_to"),  # a login that began before the upgrade has none
        )

    def destination(self, base: str) -> str:
        """Where to go when it is done."""
        return self.return_to or f"{base}/account"

    def leads_where(self, other: "Wish", *, base: str) -> bool:
        """Whether it names nothing else than the other: what has begun for one thing is no answer to another."""
        return self.return_to is None or self.destination(base) == other.destination(base)

    def origins(self) -> tuple[str, ...]:
        """What ``form-action`` has to allow for the redirect at the end."""
        found = self.leads_to or ("" if self.return_to is None else return_address.origin(self.return_to))
        return (found,) if found else ()

    def _seconds(self) -> int | None:
        return None if self.max_age is None else int(self.max_age.total_seconds())


async def _leads_to(store: TenantStore, return_to: str | None, base: str) -> str | None:
    secret = None if return_to is None else begun_request.secret_in(return_to, base=base)
    begun = None if secret is None else await store.begun_requests.find(secret)
    return None if begun is None else return_address.origin(begun.redirect_uri)


def _is_number(text: str) -> bool:
    return len(text) <= _MAX_DIGITS and text.isascii() and text.isdecimal()

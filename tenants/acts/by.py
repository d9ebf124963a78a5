"""Who administers, for the audit log: the event is written in the transaction of the act."""

from collections.abc import Iterable
from dataclasses import dataclass

from policies.severity import administrative
from tenants.audit_event import Detail, Details, Event
from tenants.store import TenantStore
from tenants.users import User


@dataclass(frozen=True, slots=True)
class By:
    """``actor`` as ``Event`` has it; of a request also its id and where it came from."""

    actor: str
    request_id: str | None = None
    address: str | None = None

    async def tell(self, store: TenantStore, type_: str, *, client_id: str | None = None, **details: Detail) -> None:
        """Put into the log what was done."""
        await store.audit.add(self.event(type_, details, client_id=client_id))

    async def tell_of(self, store: TenantStore, type_: str, user: User, **details: Detail) -> None:
        """Likewise, of a user."""
        await store.audit.add(self.event(type_, details, subject=str(user.id), user_name=user.name))

    def event(
        self,
        type_: str,
        details: Details,
        *,
        client_id: str | None = None,
        subject: str | None = None,
        user_name: str | None = None,
    ) -> Event:
        """What was done, to be written elsewhere."""
        return Event(
            type=type_,
            outcome="success",
            subject=subject,
            user_name=user_name,
            client_id=client_id,
            actor=self.actor,
            request_id=self.request_id,
            address=self.address,
            details=details,
        )


def administering(scopes: Iterable[str]) -> Details:
    """What the log is told beside the rest where somebody gets to administer by it: that, and else nothing."""
    return {"administrative": True} if administrative(scopes) else {}

"""The one way to a tenant's data: ``store.for_tenant(id)``, one transaction, the tenant fixed for its length.

On PostgreSQL the transaction carries ``yett.tenant``, which row-level security compares every row with; every query
names ``tenant_id`` as well, so that two independent locks would have to fail.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.activity import Activity
from tenants.api_keys import ApiKeys
from tenants.audit_outbox import AuditOutbox
from tenants.audit_reading import AuditReading
from tenants.authorization_codes import AuthorizationCodes
from tenants.authorization_requests import AuthorizationRequests
from tenants.begun_requests import BegunRequests
from tenants.branding import Logos
from tenants.changes import ChangeWriter
from tenants.clients import Clients
from tenants.consents import Consents
from tenants.credentials import Credentials
from tenants.database import Database
from tenants.detections import Detections
from tenants.device_codes import DeviceCodes
from tenants.devices import Devices
from tenants.former_issuers import FormerIssuers
from tenants.groups import Groups
from tenants.idempotency_keys import IdempotencyKeys
from tenants.keys import Keys
from tenants.logins import Logins
from tenants.logout_notices import LogoutNotices
from tenants.mail_links import MailLinks
from tenants.mail_outbox import MailOutbox
from tenants.recovery_codes import RecoveryCodes
from tenants.refresh_tokens import RefreshTokens
from tenants.registration_tokens import RegistrationTokens
from tenants.revocations import Revocations
from tenants.roles import Roles
from tenants.sealing import MasterKeys
from tenants.seen_ids import SeenIds
from tenants.sessions import Sessions
from tenants.stand_ins import StandIns
from tenants.tenant import Settings
from tenants.tenant_archive import TenantArchive
from tenants.throttles import Throttles
from tenants.totp import Factors
from tenants.user_imports import UserImports
from tenants.users import Users

Clock = Callable[[], datetime]

_ENTER = text("SELECT set_config('yett.tenant', :tenant, true)")


class TenantStore:
    """A tenant's data inside one open transaction. It knows one tenant; no method takes another's id.

    Each part is made when it is asked for first: there are thirty, and a step needs a few of them.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        changes: ChangeWriter,
        master_keys: MasterKeys,
        stand_ins: StandIns,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._master_keys = master_keys
        self._stand_ins = stand_ins
        self._now = now

    @cached_property
    def settings(self) -> Settings:
        return Settings(self._connection, self._tenant_id, self._changes, self._now)

    @cached_property
    def users(self) -> Users:
        return Users(self._connection, self._tenant_id, self.revocations, self.logout_notices, self._now)

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(self._connection, self._tenant_id, self._now, self._stand_ins)

    @cached_property
    def roles(self) -> Roles:
        return Roles(self._connection, self._tenant_id)

    @cached_property
    def groups(self) -> Groups:
        return Groups(self._connection, self._tenant_id, self._now)

    @cached_property
    def clients(self) -> Clients:
        return Clients(self._connection, self._tenant_id, self._changes, self.revocations, self._now)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self._connection, self._tenant_id, self._changes, self._master_keys, self._now)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self._connection, self._tenant_id, self.revocations, self.logout_notices, self._now)

    @cached_property
    def refresh_tokens(self) -> RefreshTokens:
        return RefreshTokens(self._connection, self._tenant_id, self._master_keys, self._now)

    @cached_property
    def revocations(self) -> Revocations:
        return Revocations(self._connection, self._tenant_id, self._changes, self._now)

    @cached_property
    def audit(self) -> AuditOutbox:
        return AuditOutbox(self._connection, self._tenant_id, self._now)

    @cached_property
    def activity(self) -> Activity:
        return Activity(self._connection, self._tenant_id, self._now)

    @cached_property
    def detections(self) -> Detections:
        return Detections(self._connection, self._tenant_id, self._now)

    @cached_property
    def logos(self) -> Logos:
        return Logos(self._connection, self._tenant_id, self._now)

    @cached_property
    def factors(self) -> Factors:
        return Factors(self._connection, self._tenant_id, self._master_keys, self._now)

    @cached_property
    def recovery_codes(self) -> RecoveryCodes:
        return RecoveryCodes(self._connection, self._tenant_id, self._now)

    @cached_property
    def logins(self) -> Logins:
        return Logins(self._connection, self._tenant_id, self._now)

    @cached_property
    def devices(self) -> Devices:
        return Devices(self._connection, self._tenant_id, self._now)

    @cached_property
    def throttles(self) -> Throttles:
        return Throttles(self._connection, self._tenant_id, self._now)

    @cached_property
    def mail_links(self) -> MailLinks:
        return MailLinks(self._connection, self._tenant_id, self._now)

    @cached_property
    def mail_outbox(self) -> MailOutbox:
        return MailOutbox(self._connection, self._tenant_id, self._master_keys, self._now)

    @cached_property
    def archive(self) -> TenantArchive:
        return TenantArchive(self._connection, self._tenant_id, self._changes, self._master_keys)

    @cached_property
    def imports(self) -> UserImports:
        return UserImports(self._connection, self._tenant_id, self._now)

    @cached_property
    def authorization_requests(self) -> AuthorizationRequests:
        return AuthorizationRequests(self._connection, self._tenant_id, self._now)

    @cached_property
    def begun_requests(self) -> BegunRequests:
        return BegunRequests(self._connection, self._tenant_id, self._now)

    @cached_property
    def authorization_codes(self) -> AuthorizationCodes:
        return AuthorizationCodes(self._connection, self._tenant_id, self._now)

    @cached_property
    def device_codes(self) -> DeviceCodes:
        return DeviceCodes(self._connection, self._tenant_id, self._now)

    @cached_property
    def consents(self) -> Consents:
        return Consents(self._connection, self._tenant_id, self._now)

    @cached_property
    def seen_ids(self) -> SeenIds:
        return SeenIds(self._connection, self._tenant_id, self._now)

    @cached_property
    def registration_tokens(self) -> RegistrationTokens:
        return RegistrationTokens(self._connection, self._tenant_id, self._now)

    @cached_property
    def logout_notices(self) -> LogoutNotices:
        return LogoutNotices(self._connection, self._tenant_id, self._now)

    @cached_property
    def former_issuers(self) -> FormerIssuers:
        return FormerIssuers(self._connection, self._tenant_id, self._changes, self._now)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self._connection, self._tenant_id, self._changes, self._now)

    @cached_property
    def audit_reading(self) -> AuditReading:
        return AuditReading(self._connection, self._tenant_id)

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeys:
        return IdempotencyKeys(self._connection, self._tenant_id, self._master_keys, self._now)


async def enter(connection: AsyncConnection, tenant_id: UUID) -> None:
    """From here on this transaction, of ``yett_app``, sees that tenant's rows (rule 1)."""
    if connection.dialect.name != "sqlite":
        await connection.execute(_ENTER, {"tenant": str(tenant_id)})


class Store:
    """Opens transactions. Holds no state beyond its engines, the master keys, the clock and the stand-ins' memory."""

    def __init__(self, database: Database, master_keys: MasterKeys, clock: Clock) -> None:
        self._database = database
        self._master_keys = master_keys
        self._clock = clock
        self._stand_ins = StandIns()

    @asynccontextmanager
    async def for_tenant(
        self, tenant_id: UUID, *, read_only: bool = False, at_one_moment: bool = False
    ) -> AsyncIterator[TenantStore]:
        """One transaction as ``yett_app``: committed at the end of the block, rolled back by any exception.

        ``read_only`` takes no write lock; a write inside it fails. ``at_one_moment`` reads only, what was there at its
        first statement.
        """
        async with self._database.app_step(read_only=read_only, at_one_moment=at_one_moment) as connection:
            await enter(connection, tenant_id)
            changes = ChangeWriter(connection, tenant_id, locked=not self._database.is_sqlite)
            yield TenantStore(connection, tenant_id, changes, self._master_keys, self._stand_ins, self._clock())
            await changes.flush(self._clock())

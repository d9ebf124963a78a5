"""The one way to a tenant's data: ``store.for_tenant(id)``, one transaction, the tenant fixed for its length.

On PostgreSQL the transaction carries ``yett.tenant``, which row-level security compares every row with; every query
names ``tenant_id`` as well, so that two independent locks would have to fail.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.activity import Activity
from tenants.api_keys import ApiKeys
from tenants.audit_outbox import AuditOutbox
from tenants.authorization_codes import AuthorizationCodes
from tenants.authorization_requests import AuthorizationRequests
from tenants.begun_requests import BegunRequests
from tenants.branding import Logos
from tenants.changes import ChangeWriter
from tenants.clients import Clients
from tenants.consents import Consents
from tenants.credentials import Credentials
from tenants.database import Database
from tenants.device_codes import DeviceCodes
from tenants.devices import Devices
from tenants.former_issuers import FormerIssuers
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
from tenants.throttles import Throttles
from tenants.totp import Factors
from tenants.user_imports import UserImports
from tenants.users import Users

Clock = Callable[[], datetime]

_ENTER = text("SELECT set_config('yett.tenant', :tenant, true)")


@dataclass(frozen=True, slots=True)
class TenantStore:
    """A tenant's data inside one open transaction. It knows one tenant; no method takes another's id."""

    settings: Settings
    users: Users
    credentials: Credentials
    roles: Roles
    clients: Clients
    keys: Keys
    sessions: Sessions
    refresh_tokens: RefreshTokens
    revocations: Revocations
    audit: AuditOutbox
    activity: Activity
    logos: Logos
    factors: Factors
    recovery_codes: RecoveryCodes
    logins: Logins
    devices: Devices
    throttles: Throttles
    mail_links: MailLinks
    mail_outbox: MailOutbox
    imports: UserImports
    authorization_requests: AuthorizationRequests
    begun_requests: BegunRequests
    authorization_codes: AuthorizationCodes
    device_codes: DeviceCodes
    consents: Consents
    seen_ids: SeenIds
    registration_tokens: RegistrationTokens
    logout_notices: LogoutNotices
    former_issuers: FormerIssuers
    api_keys: ApiKeys


class Store:
    """Opens transactions. Holds no state beyond its engines, the master keys, the clock and the stand-ins' memory."""

    def __init__(self, database: Database, master_keys: MasterKeys, clock: Clock) -> None:
        self._database = database
        self._master_keys = master_keys
        self._clock = clock
        self._stand_ins = StandIns()

    @asynccontextmanager
    async def for_tenant(self, tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
        """One transaction as ``yett_app``: committed at the end of the block, rolled back by any exception.

        ``read_only`` takes no write lock; a write inside it fails.
        """
        async with self._database.app_step(read_only=read_only) as connection:
            await self._enter(connection, tenant_id)
            changes = ChangeWriter(connection, tenant_id, locked=not self._database.is_sqlite)
            yield self._bind(connection, tenant_id, changes)
            await changes.flush(self._clock())

    async def _enter(self, connection: AsyncConnection, tenant_id: UUID) -> None:
        if not self._database.is_sqlite:
            await connection.execute(_ENTER, {"tenant": str(tenant_id)})

    def _bind(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter) -> TenantStore:
        now = self._clock()
        revocations = Revocations(connection, tenant_id, changes, now)
        logout_notices = LogoutNotices(connection, tenant_id, now)
        return TenantStore(
            settings=Settings(connection, tenant_id, changes, now),
            users=Users(connection, tenant_id, revocations, logout_notices, now),
            credentials=Credentials(connection, tenant_id, now, self._stand_ins),
            roles=Roles(connection, tenant_id),
            clients=Clients(connection, tenant_id, changes, revocations, now),
            keys=Keys(connection, tenant_id, changes, self._master_keys, now),
            sessions=Sessions(connection, tenant_id, revocations, logout_notices, now),
            refresh_tokens=RefreshTokens(connection, tenant_id, self._master_keys, now),
            revocations=revocations,
            audit=AuditOutbox(connection, tenant_id, now),
            activity=Activity(connection, tenant_id, now),
            logos=Logos(connection, tenant_id, now),
            factors=Factors(connection, tenant_id, self._master_keys, now),
            recovery_codes=RecoveryCodes(connection, tenant_id, now),
            logins=Logins(connection, tenant_id, now),
            devices=Devices(connection, tenant_id, now),
            throttles=Throttles(connection, tenant_id, now),
            mail_links=MailLinks(connection, tenant_id, now),
            mail_outbox=MailOutbox(connection, tenant_id, self._master_keys, now),
            imports=UserImports(connection, tenant_id, now),
            authorization_requests=AuthorizationRequests(connection, tenant_id, now),
            begun_requests=BegunRequests(connection, tenant_id, now),
            authorization_codes=AuthorizationCodes(connection, tenant_id, now),
            device_codes=DeviceCodes(connection, tenant_id, now),
            consents=Consents(connection, tenant_id, now),
            seen_ids=SeenIds(connection, tenant_id, now),
            registration_tokens=RegistrationTokens(connection, tenant_id, now),
            logout_notices=logout_notices,
            former_issuers=FormerIssuers(connection, tenant_id, changes, now),
            api_keys=ApiKeys(connection, tenant_id, changes, now),
        )

"""What browsers at API hosts are met with, made of the parts of an installation."""

from gateway.browser.console import SESSION, ConsoleSignIn
from gateway.browser.front import BrowserFront
from gateway.browser.login import BrowserLogin
from gateway.browser.logout import BrowserLogout
from gateway.browser.own_client import OwnClient
from gateway.browser.sealed import Seals
from gateway.browser.sessions import BrowserSessions
from gateway.installation import Installation
from gateway.journal import Journal
from gateway.limits import AddressLimit
from gateway.oauth.client_auth import ClientAuth
from gateway.oauth.dpop import DpopProofs
from gateway.oauth.grants.authorization_code import AuthorizationCodeGrant
from gateway.oauth.grants.browser_session import BrowserSessionGrant
from gateway.oauth.pipeline import TokenPipeline
from tenants.issuers import Issuers
from tenants.snapshot import Snapshot, TenantFacts


def browser_front(
    installation: Installation,
    snapshot: Snapshot,
    issuers: Issuers,
    clients: ClientAuth,
    dpop: DpopProofs,
    limit: AddressLimit,
) -> tuple[BrowserFront, ConsoleSignIn]:
    """A pipeline of its own: the grant of a session is to be had at no endpoint."""
    journal = Journal(installation.audit_log.append, installation.clock, installation.settings.database_timeout)
    grants = AuthorizationCodeGrant(), BrowserSessionGrant()
    pipeline = TokenPipeline(installation.store, clients, journal, dpop, grants=grants, immediate=())
    client, seals = OwnClient(pipeline, issuers), Seals(installation.master_keys)

    def now() -> float:
        return installation.clock().timestamp()

    def tenant_of(slug: str) -> TenantFacts | None:
        tenant = snapshot.by_slug(slug)
        return tenant if tenant is not None and tenant.active else None

    sessions, logout = BrowserSessions(client, seals, now), BrowserLogout(installation.store, seals, tenant_of)
    console_login, proxies = BrowserLogin(client, seals, now, SESSION), installation.settings.trusted_proxies
    console = ConsoleSignIn(sessions, console_login, logout, proxies)
    return BrowserFront(sessions, BrowserLogin(client, seals, now), logout, tenant_of, limit), console

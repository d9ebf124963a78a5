"""The composition of the admin API: its two sets of addresses, on parts that identity and the data plane have, too."""

from collections.abc import Callable

from fastapi import APIRouter

from gateway.admin.admission import Admission
from gateway.admin.caller import Authenticate, Callers
from gateway.admin.cursor import Cursors
from gateway.admin.endpoint import Shared
from gateway.admin.idempotency import InFlights
from gateway.admin.operation import Services
from gateway.admin.question import Explain
from gateway.admin.router import management_router, tenant_router
from gateway.audit import Observation
from gateway.authn.dpop import Possession
from gateway.authn.new_password import NewPasswords
from gateway.installation import Installation
from gateway.limits import AddressLimit
from gateway.settings import Settings
from tenants.snapshot import Snapshot


def admin_routers(
    installation: Installation,
    snapshot: Snapshot,
    authenticate: Authenticate,
    possession: Possession,
    feed_fresh: Callable[[], bool],
    limit: AddressLimit,
    observe: Callable[[Observation], None],
    settings: Callable[[], Settings],
    passwords: NewPasswords,
    explain: Explain,
) -> tuple[APIRouter, APIRouter]:
    """For the management listener, and for the public one. ``settings`` gives those in force."""
    admission = Admission(
        Callers(authenticate, possession, feed_fresh),
        snapshot,
        installation.directory,
        limit,
        possession.nonce,
        factor_required=not installation.settings.unsafe_operators_by_password,
    )
    cursors = Cursors(installation.master_keys.derived("admin cursor"))
    shared = Shared(Services(installation, settings, cursors, passwords, explain), admission, InFlights(), observe)
    return management_router(shared), tenant_router(shared)

"""What a tenant needs to be administered: the built-in roles, and the clients of the command line and of the console.

Made where it is missing, so that it can be asked for at any time; the roles' scopes are those of this release.
"""

from collections.abc import Mapping
from dataclasses import replace

from policies.administration import AUDIENCE, SCOPES
from policies.scope import OPENID
from tenants.acts import clients, roles
from tenants.acts.by import By
from tenants.client import DEVICE_CODE
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.directory import PLATFORM
from tenants.store import TenantStore

CLI_CLIENT = "yett-cli"
CONSOLE_CLIENT = "yett-console"
_REDIRECTS = ("http://127.0.0.1/callback", "http://[::1]/callback")  # any port of them (RFC 8252 section 7.3)
_CONSOLE_REDIRECTS = ("http://127.0.0.1/console/callback", "http://[::1]/console/callback")


async def is_set_up(store: TenantStore, built_in: Mapping[str, frozenset[str]]) -> bool:
    """Whether ``set_up`` would find nothing to do."""
    roles_there = {role.name: role.scopes for role in await store.roles.list() if role.name in built_in}
    client, console = await store.clients.get(CLI_CLIENT), await store.clients.get(CONSOLE_CLIENT)
    if client is None or console is None or roles_there != built_in:
        return False
    return _allowed(built_in) <= client.scopes and _allowed(built_in) <= console.scopes


async def set_up(store: TenantStore, by: By, built_in: Mapping[str, frozenset[str]]) -> list[str]:
    """The names of what was made or changed."""
    done = []
    for name, scopes in built_in.items():
        found = await store.roles.get(name)
        if found is None:
            await roles.create(store, by, name, scopes)
        elif found.scopes != scopes:
            await roles.set_scopes(store, by, name, scopes)
        else:
            continue
        done.append(name)
    allowed = _allowed(built_in)
    for wanted in (_cli_client(allowed), _console_client(allowed, await _console_redirects(store))):
        client = await store.clients.get(wanted.client_id)
        if client is None:
            await clients.create(store, by, wanted)
        elif not allowed <= client.scopes:  # of an earlier release
            more = replace(client, scopes=client.scopes | allowed, default_scopes=client.default_scopes | allowed)
            await clients.change(store, by, client, more)
        else:
            continue
        done.append(wanted.client_id)
    return done


async def _console_redirects(store: TenantStore) -> tuple[str, ...]:
    """Below the tenant's issuer; of the platform's console at the management listener, as seen from its machine."""
    tenant = await store.settings.get()
    if tenant is None or tenant.slug == PLATFORM:
        return _CONSOLE_REDIRECTS
    return (f"{tenant.issuer}/admin/callback",)


def _console_client(scopes: frozenset[str], redirect_uris: tuple[str, ...]) -> Client:
    """Public, since it is this very program; it gets its tokens in this process, and no browser has them."""
    return Client(
        client_id=CONSOLE_CLIENT,
        name="Yett console",
        confidential=False,
        grant_types=frozenset({"authorization_code"}),
        scopes=scopes | OPENID,
        default_scopes=scopes,
        audiences=(AUDIENCE,),
        redirect_uris=redirect_uris,
        options=ClientOptions(first_party=True),
    )


def _allowed(built_in: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*built_in.values())


def _cli_client(scopes: frozenset[str]) -> Client:
    """Public, with a browser for the login: no password passes through it. It has what its user's roles give."""
    if not scopes <= SCOPES:
        raise ValueError("a role of administration has scopes of administration")
    return Client(
        client_id=CLI_CLIENT,
        name="Yett administration",
        confidential=False,
        grant_types=frozenset({"authorization_code", "refresh_token", DEVICE_CODE}),
        scopes=scopes | OPENID,
        default_scopes=scopes,
        audiences=(AUDIENCE,),
        redirect_uris=_REDIRECTS,
        options=ClientOptions(first_party=True),
    )

"""What a tenant needs to be administered through the admin API: the built-in roles, and the client of the command line.

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
from tenants.store import TenantStore

CLI_CLIENT = "yett-cli"
_REDIRECTS = ("http://127.0.0.1/callback", "http://[::1]/callback")  # any port of them (RFC 8252 section 7.3)


async def is_set_up(store: TenantStore, built_in: Mapping[str, frozenset[str]]) -> bool:
    """Whether ``set_up`` would find nothing to do."""
    roles_there = {role.name: role.scopes for role in await store.roles.list() if role.name in built_in}
    client = await store.clients.get(CLI_CLIENT)
    return roles_there == built_in and client is not None and _allowed(built_in) <= client.scopes


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
    client, allowed = await store.clients.get(CLI_CLIENT), _allowed(built_in)
    if client is None:
        await clients.create(store, by, _cli_client(allowed))
        done.append(CLI_CLIENT)
    elif not allowed <= client.scopes:  # of an earlier release
        more = replace(client, scopes=client.scopes | allowed, default_scopes=client.default_scopes | allowed)
        await clients.change(store, by, client, more)
        done.append(CLI_CLIENT)
    return done


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

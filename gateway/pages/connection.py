"""What a person who is to let an application in is told of it, beside what it would get."""

from urllib.parse import urlsplit

from gateway.durations import spoken
from tenants.client import Client
from tenants.tenant import Tenant

_LOOPBACK = frozenset({"127.0.0.1", "::1"})


def stays_connected(tenant: Tenant, client: Client) -> str:
    """For how long it can go on without its person: with refresh tokens, else with the one access token."""
    if "refresh_token" in client.grant_types:
        return f"Up to {spoken(tenant.lifetimes.refresh_absolute)}"
    return spoken(tenant.lifetimes.access_token).capitalize()


def leads_to(redirect_uri: str) -> str:
    """Whom the answer goes to, of a registered address: the host, or whatever takes it on this device."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in ("http", "https"):
        return f"An application on this device ({parts.scheme})"
    if parts.hostname in _LOOPBACK:
        return f"An application on this device ({parts.hostname})"
    return parts.netloc

"""Whether a tenant may issue under a URL: its form, and that nobody else has its host."""

from gateway import urls
from gateway.installation import Installation
from gateway.own_hosts import collision
from policies.issuer import fault
from tenants.errors import InvalidValue


async def free_issuer(installation: Installation, slug: str, asked: str | None) -> str:
    """The issuer that is asked for, None for the one below ``public_url``.

    Raises:
        InvalidValue: it cannot be one, or its host is another's.
    """
    ours = urls.issuer(installation.settings.public_url, slug)
    issuer = asked or ours
    if issuer != ours:
        problem = fault(issuer)
        if problem is not None:
            raise InvalidValue(f"{issuer!r} {problem}; the one below public_url is {ours}")
        if slug in urls.RESERVED_SLUGS:
            raise InvalidValue(f"the tenant {slug!r} has its issuer below public_url, {ours}")
        configured = collision(issuer, installation.settings)
        if configured is not None:
            raise InvalidValue(
                f"the host of {issuer!r} stands in {configured}: a tenant's own host serves nothing else"
            )
    holder = await installation.directory.holder(issuer, installation.clock())
    if holder not in (None, slug):
        raise InvalidValue(f"{issuer!r} is the issuer of the tenant {holder!r}, or was it and is still accepted")
    return issuer

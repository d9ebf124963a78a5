"""``/``: who logs people in here, and where one can go."""

from gateway.console.visit import Answer, Page, Show, Visit


async def show(visit: Visit) -> Answer:
    """The page. The API is asked for the own tenant, so that who may see nothing learns that here."""
    slug = visit.place.tenant.slug
    tenant = await visit.api.get(f"/tenants/{slug}")
    return Show("overview.html", "Overview", {"tenant": tenant, "mine": visit.place.of_tenant(slug)})


PAGES = (Page("", show=show),)

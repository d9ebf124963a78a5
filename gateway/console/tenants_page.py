"""``/tenants``: the tenants of the installation, one of them, and a new one. For operators."""

from gateway.console.api import ApiRefused
from gateway.console.visit import Answer, Go, Page, Show, Visit


async def _list(visit: Visit) -> Answer:
    found = await visit.api.get("/tenants", visit.given("cursor"))
    return Show("tenants.html", "Tenants", {"tenants": found["items"], "next_cursor": found["next_cursor"]})


async def _one(visit: Visit) -> Answer:
    tenant = await visit.api.get(visit.api_tenant)
    return Show("tenant.html", tenant["name"], {"tenant": tenant})


async def _new(_: Visit) -> Answer:
    return Show("tenant_new.html", "New tenant", {"slug": "", "name": ""})


async def _create(visit: Visit) -> Answer:
    slug, name = visit.form.optional("slug") or "", visit.form.optional("name") or ""
    try:
        made = await visit.api.send("POST", "/tenants", {"slug": slug, **({"name": name} if name else {})})
    except ApiRefused as refused:
        if not refused.mistake:
            raise
        context = {"slug": slug, "name": name, "error": refused.told}
        return Show("tenant_new.html", "New tenant", context, status=refused.status)
    return Go(visit.place.of_tenant(made["slug"]))


PAGES = (
    Page("/tenants", show=_list, operators=True),
    Page("/new-tenant", show=_new, submit=_create, operators=True),
    Page("", show=_one, of_tenant=True, operators=True),
)

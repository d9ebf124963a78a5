"""``/clients``: the applications of a tenant, and what each may ask for."""

from gateway.console.visit import Answer, Page, Show, Visit


async def _list(visit: Visit) -> Answer:
    found = await visit.api.get(f"{visit.api_tenant}/clients", visit.given("cursor"))
    return Show("clients.html", "Clients", {"clients": found["items"], "next_cursor": found["next_cursor"]})


PAGES = (Page("/clients", show=_list, of_tenant=True),)

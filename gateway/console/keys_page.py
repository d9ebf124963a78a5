"""``/keys``: the keys that a tenant signs with, and the state of each."""

from gateway.console.visit import Answer, Page, Show, Visit


async def _list(visit: Visit) -> Answer:
    found = await visit.api.get(f"{visit.api_tenant}/signing-keys")
    return Show("keys.html", "Signing keys", {"keys": found["items"]})


PAGES = (Page("/keys", show=_list, of_tenant=True),)

"""``/users``: the people of a tenant, one of them, and what can be done about them."""

from urllib.parse import urlencode
from uuid import UUID

from gateway.console.api import ApiRefused
from gateway.console.visit import Answer, Go, Page, Show, Visit
from gateway.errors import NotFound


async def _list(visit: Visit) -> Answer:
    asked = visit.given("name", "cursor")
    found = await visit.api.get(f"{visit.api_tenant}/users", asked)
    context = {
        "users": found["items"],
        "next_cursor": found["next_cursor"],
        "name": asked.get("name", ""),
        "query": urlencode({name: text for name, text in asked.items() if name != "cursor"}),
    }
    return Show("users.html", "Users", context)


async def _one(visit: Visit) -> Answer:
    user = await visit.api.get(_path(visit))
    return Show("user.html", user["name"], {"user": user})


async def _set_active(visit: Visit) -> Answer:
    await visit.api.send("PATCH", _path(visit), {"active": visit.form.text("active") == "yes"})
    return _back(visit)


async def _end_sessions(visit: Visit) -> Answer:
    await visit.api.send("DELETE", f"{_path(visit)}/sessions")
    return _back(visit)


async def _invitation(_: Visit) -> Answer:
    return Show("invite.html", "Invite somebody", {"email": "", "notice": None})


async def _invite(visit: Visit) -> Answer:
    email = visit.form.optional("email") or ""
    context: dict[str, object] = {"email": "", "notice": f"A letter goes to {email}."}
    status = 200
    try:
        await visit.api.send("POST", f"{visit.api_tenant}/invitations", {"email": email})
    except ApiRefused as refused:
        if not refused.mistake:
            raise
        context, status = {"email": email, "notice": None, "error": refused.told}, refused.status
    return Show("invite.html", "Invite somebody", context, status=status)


def _path(visit: Visit) -> str:
    return f"{visit.api_tenant}/users/{id_in(visit)}"


def _back(visit: Visit) -> Go:
    return Go(f"{visit.here}/users/{id_in(visit)}")


def id_in(visit: Visit) -> str:
    """The id in the page's own address.

    Raises:
        NotFound: it is none.
    """
    try:
        return str(UUID(visit.parameters["id"]))
    except ValueError:
        raise NotFound(reason="id_malformed") from None


PAGES = (
    Page("/users", show=_list, of_tenant=True),
    Page("/invite", show=_invitation, submit=_invite, of_tenant=True),
    Page("/users/{id}", show=_one, of_tenant=True),
    Page("/users/{id}/active", submit=_set_active, of_tenant=True),
    Page("/users/{id}/sessions", submit=_end_sessions, of_tenant=True),
)

"""``/device``, ``/device/confirm``: a person types the code that a device shows, sees what asks for what, and decides
(RFC 8628 sections 3.3 and 5.4).

``GET`` looks nothing up: a link with a code in it fills the field in, and no more. A code is looked up by the form that
its person sends, and that is counted first (section 5.1); one that is unknown, over, used or decided is refused in the
same words. What is allowed here is checked again when the device redeems its code.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from gateway.authn.signed_in import SignedIn, signed_in, tenant_of
from gateway.errors import BadCode, Refusal, TooManyCodes
from gateway.login.progress import retry_after
from gateway.pages import shown
from gateway.pages.connection import stays_connected
from gateway.pages.page import Page
from gateway.pages.scope_words import in_words
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from gateway.place import Places
from policies import device_code
from policies.decision import Allow
from policies.device_code import normalised
from policies.scope import canonical, of_user
from policies.throttle import Throttled
from tenants import throttles
from tenants.client import DEVICE_CODE, Client
from tenants.device_codes import DeviceCode
from tenants.store import TenantStore
from tenants.tenant import Tenant

_WRONG = "No device waits with that code. Look at it again; if it is old, let the device show a new one."
_ONLY_YOU = "Nothing but that it is you"
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Asking:
    """A device that waits, and what its application would get from this very person."""

    code: DeviceCode
    client: Client
    scopes: frozenset[str]
    typed: str

    @property
    def nothing_to_give(self) -> bool:
        """It asks for something, and this person may give nothing of it."""
        return bool(self.code.scopes) and not self.scopes


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Both addresses: the form for the code, and the question."""

    site: Site
    places: Places

    async def show(self, visit: Visit) -> Answer:
        """The form, for who is logged in."""
        code = normalised(visit.query.text("user_code") or "")
        typed = "" if code is None else device_code.shown(code)
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            here = await signed_in(store, tenant, visit, self.site.now())
            return _login(visit, typed) if here is None else _form(tenant, visit, here, typed)

    async def back(self, visit: Visit) -> Answer:
        """The question has no address of its own: who comes back to it, types the code again."""
        return Go(f"{visit.base}/device")

    async def submit(self, visit: Visit) -> Answer:
        """Ask the person; do what they said who were asked."""
        typed = visit.form.text("user_code") or ""
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            # Held before the counters: whoever changes this account waits here, and not half way.
            here = await signed_in(store, tenant, visit, self.site.now(), hold=True)
            if here is None:
                code = normalised(typed)
                return _login(visit, "" if code is None else device_code.shown(code))
            await store.sessions.touch(here.session)
            asking = await self._asking(store, visit, here, typed)
            if isinstance(asking, Refusal):
                return self._refused(tenant, visit, here, typed, asking)
            # Only an answer to the question decides: nobody says yes who was not shown what to.
            match visit.form.text("decision") if _is_answer(visit, typed) else None:
                case "allow" if not asking.nothing_to_give and _was_shown(visit, asking):
                    return await self._allow(store, tenant, visit, here, asking)
                case "deny":
                    return await self._deny(store, tenant, visit, here, asking)
                case _:
                    return self._question(tenant, visit, here, asking)

    async def _asking(self, store: TenantStore, visit: Visit, here: SignedIn, typed: str) -> Asking | Refusal:
        """Counted before it is tried; a code that is one gives its attempt back. The answer to a question that this
        session was asked is no guess.
        """
        if _is_answer(visit, typed):
            return await self._look_up(store, here, typed) or BadCode(reason="user_code_over")
        counters = throttles.user_code(here.user.id), throttles.network(f"user codes {visit.visitor.network}")
        match await store.throttles.reserve(*counters):
            case Throttled() as throttled:
                return TooManyCodes(reason="user_codes_throttled", retry_after=throttled.seconds)
            case Allow():
                found = await self._look_up(store, here, typed)
        if found is None:
            return BadCode(reason="user_code_unknown")
        await store.throttles.refund(*counters)
        return found

    async def _look_up(self, store: TenantStore, here: SignedIn, typed: str) -> Asking | None:
        code = await store.device_codes.waiting(typed)
        client = None if code is None else await store.clients.get(code.client_id)
        if code is None or client is None or not client.active or DEVICE_CODE not in client.grant_types:
            return None
        own = of_user(await store.roles.scopes_of(here.user.id))
        return Asking(code, client, code.scopes & client.scopes & own, device_code.shown(normalised(typed) or ""))

    async def _allow(self, store: TenantStore, tenant: Tenant, visit: Visit, here: SignedIn, asking: Asking) -> Answer:
        if not await store.device_codes.approve(asking.code, here.session.id, scopes=asking.scopes):
            # Somebody else was faster.
            return self._refused(tenant, visit, here, asking.typed, BadCode(reason="user_code_over"))
        await _tell(store, visit, here, asking, "device.approved")
        return _message(
            tenant, visit, "Your device is connected", f"{asking.client.name} goes on by itself in a moment."
        )

    async def _deny(self, store: TenantStore, tenant: Tenant, visit: Visit, here: SignedIn, asking: Asking) -> Answer:
        if not await store.device_codes.deny(asking.code):
            return self._refused(tenant, visit, here, asking.typed, BadCode(reason="user_code_over"))
        await _tell(store, visit, here, asking, "device.denied")
        return _message(
            tenant, visit, "Refused", f"{asking.client.name} got nothing, and its code is worth nothing now."
        )

    def _refused(self, tenant: Tenant, visit: Visit, here: SignedIn, typed: str, refusal: Refusal) -> Show:
        self.site.tell(visit, refusal)
        return _form(tenant, visit, here, typed[:_LONGEST], refusal=refusal)

    def _question(self, tenant: Tenant, visit: Visit, here: SignedIn, asking: Asking) -> Answer:
        app, code = asking.client.name, asking.code
        if asking.nothing_to_give:
            text = (
                f"{app} asks for what your account cannot give. Log in as somebody who can, or ask who looks after it."
            )
            return _message(tenant, visit, "This account cannot connect it", text, status=403)
        place = self.places.of(code.address)
        context = {
            "app": app,
            "code": asking.typed,
            "asks": in_words(asking.scopes) or [_ONLY_YOU],
            "facts": [
                ("At", ", ".join(code.audiences)),
                ("Stays connected", stays_connected(tenant, asking.client)),
                ("Your account", here.user.name),
                ("Asked from", f"{code.address} ({place})" if place else code.address),
                ("Asked", _ago(self.site.now(), code.created_at)),
            ],
            "action": f"{visit.base}/device/confirm",
            "unvetted": asking.client.registered_itself,
            "hidden": {
                "user_code": asking.typed,
                "asked": shown.mark(visit.session_secret or "", *_code(asking.typed)),
                "shown": shown.mark(visit.session_secret or "", *_contents(asking)),
            },
        }
        return Show(tenant, Page("device_confirm.html", f"Connect {app}", context), visit.session_secret or "")


async def _tell(store: TenantStore, visit: Visit, here: SignedIn, asking: Asking, event: str) -> None:
    await store.audit.add(
        visit.event(
            event,
            "success",
            user=here.user,
            session=here.session,
            client_id=asking.client.client_id,
            scopes=sorted(asking.scopes),
        )
    )


def _is_answer(visit: Visit, typed: str) -> bool:
    """Whether this session was asked about this code."""
    code = normalised(typed)
    return code is not None and shown.is_mark(
        visit.form.text("asked"), visit.session_secret, *_code(device_code.shown(code))
    )


def _was_shown(visit: Visit, asking: Asking) -> bool:
    """Whether the question was about what there is to give now: more may have become of it since."""
    return shown.is_mark(visit.form.text("shown"), visit.session_secret, *_contents(asking))


def _code(typed: str) -> tuple[str, ...]:
    return ("device code", typed)


def _contents(asking: Asking) -> tuple[str, ...]:
    return ("device", asking.typed, canonical(asking.scopes), *asking.code.audiences)


def _form(tenant: Tenant, visit: Visit, here: SignedIn, typed: str, *, refusal: Refusal | None = None) -> Show:
    again = {"again": "yes", "return_to": f"{visit.base}/device"}
    error = None
    if refusal is not None:
        error = _WRONG if isinstance(refusal, BadCode) else refusal.public
    context = {
        "code": typed,
        "user_name": here.user.name,
        "again_url": f"{visit.base}/login?{urlencode(again)}",
        "action": f"{visit.base}/device/confirm",
        "error": error,
    }
    status = 200 if refusal is None else refusal.status
    page = Page("device.html", "Connect a device", context, status, retry_after(refusal))
    return Show(tenant, page, visit.session_secret or "")


def _login(visit: Visit, typed: str) -> Go:
    """To the login, and back to the form with what was filled in."""
    query = f"?{urlencode({'user_code': typed})}" if typed else ""
    return Go(f"{visit.base}/login?{urlencode({'return_to': f'{visit.base}/device{query}'})}")


def _message(tenant: Tenant, visit: Visit, heading: str, text: str, *, status: int = 200) -> Show:
    context = {"heading": heading, "text": text, "link_url": f"{visit.base}/account", "link_text": "Go to your account"}
    return Show(tenant, Page("message.html", heading, context, status))


def _ago(now: datetime, then: datetime) -> str:
    minutes = max(0, int((now - then).total_seconds())) // 60
    return "just now" if minutes == 0 else "a minute ago" if minutes == 1 else f"{minutes} minutes ago"

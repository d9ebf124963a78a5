"""``/reset`` and ``/invite``, and the end of a sign-up: links of letters that end in a password.

``GET`` changes nothing, since mail scanners follow links; the form's ``POST`` uses the link up. A link is looked up
under its purpose and its tenant, before anything is hashed. Whoever proves a mailbox has proved no second factor:
after a reset the login begins as ever.
"""

import secrets
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.authn.new_password import HashedPassword, NewPasswords, RefusedPassword
from gateway.authn.signed_in import tenant_of
from gateway.errors import DeadLink, TooManyAttempts
from gateway.login.progress import go_on
from gateway.login.wish import Wish
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies.decision import Allow
from policies.severity import administrative
from policies.throttle import Throttled
from tenants import throttles
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.mail_links import MailLink
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.user_names import look_up_key, name_key
from tenants.users import User

Purpose = Literal["reset", "sign_up", "invite"]
Field = Literal["name", "password"]

_HEADINGS: dict[Purpose, tuple[str, str]] = {
    "reset": ("Choose a new password", "Your sessions end everywhere, and your second factor stays as it is."),
    "sign_up": ("Finish signing up", "Choose a name and a password."),
    "invite": ("Accept the invitation", "Choose a password for your account."),
}


_NO_NAME = "That cannot be a user name: letters, digits and . _ - do, without a space, or an email address."
_TAKEN = "Somebody has that name already. Choose another one."
_SAME = "That is the password that was chosen for you. Choose another one."
_ALONE = "Your second factor was removed meanwhile, so the password has to be longer. Choose another one."


class FactorGone(Exception):
    """The second factor that a password was to stand beside is there no more. Undoes the step."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a link is for. ``user`` is None for who has no account yet; ``second_factor``: they have one. ``outgoing``
    is the hash of a password that somebody else chose for them, which is to be no more.
    """

    link: MailLink
    user: User | None
    name: str
    email: str | None
    second_factor: bool
    outgoing: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewPasswordPage:
    """A link whose end is a password: a reset, a sign-up, an invitation."""

    site: Site
    passwords: NewPasswords
    purpose: Purpose

    async def show(self, visit: Visit) -> Answer:
        """The form, for a link that still works."""
        token = visit.query.text("token") or ""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            holder = await self._holder(store, token)
            return self._form(tenant, visit, _alive(holder), token)

    async def submit(self, visit: Visit) -> Answer:
        """Judge and hash the password, then use the link up and do what it is for, in one step."""
        token = visit.form.text("token") or ""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            holder = _alive(await self._holder(store, token))
        name = holder.name
        if self.purpose == "sign_up":
            name = (visit.form.text("name") or "").strip()
            problem = await self._judge_name(visit, name)  # before anything is hashed for it
            if problem is not None:
                error, status = problem
                return self._form(tenant, visit, holder, token, name=name, error=error, wrong="name", status=status)
        made = await self.passwords.make(
            visit.form.text("password") or "",
            tenant=tenant,
            user_name=name,
            email=holder.email,
            second_factor=holder.second_factor,
        )
        if isinstance(made, RefusedPassword):
            return self._form(tenant, visit, holder, token, name=name, error=made.text, wrong="password", status=422)
        if holder.outgoing is not None and await self.passwords.is_same(visit.form.text("password"), holder.outgoing):
            return self._form(tenant, visit, holder, token, name=name, error=_SAME, wrong="password", status=422)
        try:
            async with self.site.step(visit) as store:
                tenant = await tenant_of(store)
                link = await store.mail_links.find(self.purpose, token)
                if link is None:
                    raise DeadLink(reason="link_unknown")
                # The user before anything of theirs: whoever changes an account waits here, and not half way.
                user = None if link.user_id is None else await store.users.get(link.user_id, hold=True)
                if not await store.mail_links.consume(link):
                    raise DeadLink(reason="link_used")
                if self.purpose == "reset":
                    return await self._reset(store, tenant, visit, link, user, made, holder)
                return await self._join(store, tenant, visit, link, name, made)
        except FactorGone:
            holder = replace(holder, second_factor=False)
            return self._form(tenant, visit, holder, token, name=name, error=_ALONE, wrong="password", status=409)
        except InvalidValue:  # both undo the step, the link's use included
            return self._form(tenant, visit, holder, token, name=name, error=_NO_NAME, wrong="name", status=422)
        except AlreadyExists:
            return self._form(tenant, visit, holder, token, name=name, error=_TAKEN, wrong="name", status=409)

    async def _judge_name(self, visit: Visit, name: str) -> tuple[str, int] | None:
        """What is wrong with a name that somebody wants to have. Who holds a link may ask for some, and not for all."""
        try:
            name_key(name)
        except InvalidValue:
            return _NO_NAME, 422
        async with self.site.step(visit) as store:
            if await store.users.by_login(name) is None:
                return None
            match await store.throttles.reserve(throttles.network(f"names {visit.visitor.network}")):
                case Throttled() as throttled:
                    raise TooManyAttempts(reason="names_throttled", retry_after=throttled.seconds)
                case Allow():
                    return _TAKEN, 409

    async def _holder(self, store: TenantStore, token: str) -> Holder | None:
        """Whom the link is for, checked as when it was made: a disabled or deleted user has no use for it."""
        link = await store.mail_links.find(self.purpose, token)
        if link is None:
            return None
        if self.purpose != "reset":
            return Holder(link, None, link.data.get("name") or link.email or "", link.email, second_factor=False)
        user = None if link.user_id is None else await store.users.get(link.user_id)
        if user is None or not user.active or not _is_address_of(user, link):
            return None
        has_factor, current = await store.factors.has_any(user.id), await store.credentials.password(user.id)
        outgoing = current.hash if current is not None and current.must_change else None
        return Holder(link, user, user.name, user.email, second_factor=has_factor, outgoing=outgoing)

    async def _reset(
        self,
        store: TenantStore,
        tenant: Tenant,
        visit: Visit,
        link: MailLink,
        user: User | None,
        made: HashedPassword,
        holder: Holder,
    ) -> Answer:
        if user is None or not user.active or not _is_address_of(user, link):
            raise DeadLink(reason="link_without_user")
        if holder.second_factor and not made.stands_alone and not await store.factors.has_any(user.id):
            raise FactorGone  # and the password was judged as one of two
        await store.credentials.set_password(user.id, made.hash, stands_alone=made.stands_alone)
        await store.mail_links.end_all(user.id, "reset", "verify")
        await store.logins.end_all(user.id)
        ended = await store.sessions.end_all(user.id)
        if link.email is not None:
            await store.users.confirm_email(user.id, link.email)
        await store.mail_outbox.add("password_changed", {"user_id": str(user.id)})
        await store.audit.add(visit.event("user.password_set", "success", user=user, way="reset", sessions_ended=ended))
        # The owner's browser, as far as anybody can tell: known from now on, so that nobody's attempts hold it up.
        _, device_secret, _ = await store.devices.remember(
            user.id,
            visit.device_secret,
            visitor=visit.visitor,
            lifetime=tenant.lifetimes.known_device,
            trusted_for=None,
        )
        return Go(f"{visit.base}/login", {"login": None, "session": None, "device": device_secret})

    async def _join(
        self, store: TenantStore, tenant: Tenant, visit: Visit, link: MailLink, name: str, made: HashedPassword
    ) -> Answer:
        """A new account; its password was given in this very request, so the login goes on from there."""
        proved = link.email is not None and not link.data.get("printed")  # a link on paper proves no mailbox
        user = await store.users.create(name, email=link.email, email_verified=proved)
        await store.credentials.set_password(user.id, made.hash, stands_alone=made.stands_alone)
        roles = str(link.data.get("roles") or "").split()
        for role in roles:
            try:
                await store.roles.assign(user.id, role)
            except NotFound:  # the role is gone since: the rest of the invitation still holds
                await store.audit.add(visit.event("user.role_missing", "notice", user=user, role=role))
        groups = str(link.data.get("groups") or "").split()
        for group in groups:
            try:
                await store.groups.add(group, user.id)
            except NotFound:  # likewise
                await store.audit.add(visit.event("user.group_missing", "notice", user=user, group=group))
        may_administer = administrative(await store.roles.scopes_of(user.id))
        told = visit.event("user.created", "success", user=user, way=self.purpose, roles=roles)
        if groups:
            told = told._replace(details={**told.details, "groups": groups})
        if may_administer:
            told = told._replace(details={**told.details, "administrative": True})
        await store.audit.add(told)
        return await go_on(
            store,
            tenant,
            visit,
            user,
            proved={"pwd"},
            password_version=1,
            wish=Wish(),
            now=self.site.now(),
        )

    def _form(
        self,
        tenant: Tenant,
        visit: Visit,
        holder: Holder,
        token: str,
        *,
        name: str | None = None,
        error: str | None = None,
        wrong: Field | None = None,
        status: int = 200,
    ) -> Show:
        """``wrong`` is the field that the error is of."""
        heading, text = _HEADINGS[self.purpose]
        context = {
            "heading": heading,
            "text": text,
            "user_name": holder.name if name is None else name[:254],
            "ask_name": self.purpose == "sign_up",
            "min_length": self.passwords.least_length(tenant, second_factor=holder.second_factor),
            "hidden": {"token": token},
            "error": error,
            "wrong": wrong,
        }
        return bound(tenant, visit, Page("new_password.html", heading, context, status))


def _is_address_of(user: User, link: MailLink) -> bool:
    """Whether the mailbox that the link went to still is the user's (rule 7: a check is repeated at redemption)."""
    return link.email is None or (user.email is not None and look_up_key(link.email) == look_up_key(user.email))


def bound(tenant: Tenant, visit: Visit, page: Page) -> Show:
    """A form needs a cookie to be bound to: the browser's, or a new one that stands for nothing."""
    secret = visit.login_secret or secrets.token_urlsafe(32)
    return Show(tenant, page, secret, cookies={} if visit.login_secret else {"login": secret})


def _alive(holder: Holder | None) -> Holder:
    if holder is None:
        raise DeadLink(reason="link_unknown")
    return holder


def message(tenant: Tenant, visit: Visit, heading: str, text: str, *, status: int = 200) -> Show:
    """A page that only says something, and leads on to the login."""
    context = {"heading": heading, "text": text, "link_url": f"{visit.base}/login", "link_text": "Go to the login"}
    return Show(tenant, Page("message.html", heading, context, status))

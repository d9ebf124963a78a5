"""The addresses of the account pages. Every form is bound to the session that the page was shown to."""

from fastapi import APIRouter

from gateway.account.activity_page import ActivityPage
from gateway.account.apps_page import AppsPage
from gateway.account.devices_page import DevicesPage
from gateway.account.email_page import EmailPage
from gateway.account.factor_pages import RemoveFactorPage, RenameFactorPage
from gateway.account.new_factor_page import NewFactorPage
from gateway.account.overview import OverviewPage
from gateway.account.password_page import PasswordPage
from gateway.account.recovery_codes_page import RecoveryCodesPage
from gateway.account.sessions_page import SessionsPage
from gateway.authn.new_password import NewPasswords
from gateway.authn.password_attempt import PasswordCheck
from gateway.pages.site import Handler, Site
from gateway.place import Places


def account_router(
    site: Site, check: PasswordCheck, passwords: NewPasswords, places: Places, *, mail: bool
) -> APIRouter:
    """The routes below ``/t/{slug}``. ``mail``: letters can be sent."""
    router = APIRouter()
    for path, show in (
        ("/account", OverviewPage(site, places, mail).show),
        ("/account/activity", ActivityPage(site, places).show),
    ):
        endpoint = site.endpoint(show, bound_to="session")
        router.add_api_route(f"/t/{{slug}}{path}", endpoint, methods=["GET", "HEAD"], response_model=None)
    email, password = EmailPage(site, mail), PasswordPage(site, check, passwords)
    sessions, devices, apps = SessionsPage(site, places), DevicesPage(site, places), AppsPage(site)
    new, codes = NewFactorPage(site), RecoveryCodesPage(site)
    remove, rename = RemoveFactorPage(site, passwords), RenameFactorPage(site)
    forms: tuple[tuple[str, Handler, Handler], ...] = (
        ("/account/email", email.show, email.submit),
        ("/account/password", password.show, password.submit),
        ("/account/factors/new", new.show, new.submit),
        ("/account/factors/{id}/remove", remove.show, remove.submit),
        ("/account/factors/{id}/rename", rename.show, rename.submit),
        ("/account/recovery-codes", codes.show, codes.submit),
        ("/account/sessions", sessions.show, sessions.submit),
        ("/account/devices", devices.show, devices.submit),
        ("/account/apps", apps.show, apps.submit),
    )
    for path, show_form, submit in forms:
        site.add(router, path, show_form, submit, bound_to="session")
    return router

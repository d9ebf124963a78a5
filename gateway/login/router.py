"""The addresses of the login pages, and which cookie each page's form is bound to."""

from fastapi import APIRouter

from gateway.authn.id_token_hint import IdTokenHints
from gateway.authn.new_password import NewPasswords
from gateway.authn.password_attempt import PasswordCheck
from gateway.authn.second_factor import OTP, RECOVERY
from gateway.login.code_pages import CodePage
from gateway.login.device_page import DevicePage
from gateway.login.enrol_page import EnrolPage
from gateway.login.link_pages import NewPasswordPage
from gateway.login.logout import LogoutPage
from gateway.login.password_page import PasswordPage
from gateway.login.sign_up import ForgotPage, SignUpPage
from gateway.login.verify_page import VerifyPage
from gateway.pages.site import BoundTo, Handler, Site
from gateway.place import Places


def login_router(
    site: Site,
    check: PasswordCheck,
    passwords: NewPasswords,
    places: Places,
    hints: IdTokenHints,
    *,
    mail: bool,
) -> APIRouter:
    """The routes below ``/t/{slug}``. ``mail``: letters can be sent."""
    router = APIRouter()
    password = PasswordPage(site, check, mail)
    otp, recovery = CodePage(site, OTP), CodePage(site, RECOVERY)
    enrol, logout = EnrolPage(site), LogoutPage(site, hints)
    sign_up, forgot = SignUpPage(site, mail), ForgotPage(site, mail)
    reset, invite = NewPasswordPage(site, passwords, "reset"), NewPasswordPage(site, passwords, "invite")
    verify = VerifyPage(site, NewPasswordPage(site, passwords, "sign_up"))
    pages: tuple[tuple[str, Handler, Handler, BoundTo], ...] = (
        ("/login", password.show, password.submit, "login"),
        ("/login/otp", otp.show, otp.submit, "login"),
        ("/login/recovery", recovery.show, recovery.submit, "login"),
        ("/login/enrol", enrol.show, enrol.submit, "login"),
        ("/signup", sign_up.show, sign_up.submit, "login"),
        ("/forgot", forgot.show, forgot.submit, "login"),
        ("/reset", reset.show, reset.submit, "login"),
        ("/verify", verify.show, verify.submit, "login"),
        ("/invite", invite.show, invite.submit, "login"),
        ("/logout", logout.show, logout.arrive, "nothing"),
        ("/logout/confirm", logout.back, logout.submit, "session"),
    )
    for path, show, submit, bound_to in pages:
        site.add(router, path, show, submit, bound_to=bound_to)
    # Its POST is the endpoint of devices (RFC 8628 section 3.1): people type one short address, programs know one.
    device = DevicePage(site, places)
    show_device = site.endpoint(device.show, bound_to="session")
    router.add_api_route("/t/{slug}/device", show_device, methods=["GET", "HEAD"], response_model=None)
    site.add(router, "/device/confirm", device.back, device.submit, bound_to="session")
    return router

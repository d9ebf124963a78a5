"""Every page of a served gateway, reached as people reach it: axe-core finds nothing, the browser complains of nothing,
and nothing sticks out, on a phone and on a desktop, in light and dark, with a tenant's own look and without.

``YETT_TEST_SCREENSHOTS=docs/screenshots`` makes the pictures of the documentation on the way.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from starlette.routing import Route

from gateway.account.router import account_router
from gateway.login.router import login_router
from gateway.oauth.authorize import AuthorizePages, authorize_router
from gateway.oauth.authorize_pages import CONSENT_PATH
from gateway.pages.site import Site
from tests.e2e.conftest import Copy
from tests.e2e.hosted import Hosted, hosted
from tests.e2e.inspection import Inspection, Pictures
from tests.e2e.tour import PASSWORD, REPORTS, Tour

_PHONE_OF_OLD = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
_PICTURES: dict[str, Pictures] = {
    "acme": dict.fromkeys(("login", "otp", "enrol", "recovery-codes", "account", "sessions"), (("phone", "dark"),)),
    "globex": {
        "login": (("desktop", "light"), ("phone", "light")),
        "otp": (("desktop", "dark"),),
        "enrol": (("desktop", "light"),),
        "account": (("desktop", "light"),),
        "sessions": (("desktop", "dark"),),
    },
}


def _logo(path: Path) -> Path:
    """A wide picture, dark on nothing."""
    image = Image.new("RGBA", (420, 120), (0, 0, 0, 0))
    drawing = ImageDraw.Draw(image)
    for left in (0, 44, 88):
        drawing.ellipse((left, 4, left + 112, 116), outline=(24, 62, 45, 255), width=12)
    drawing.rounded_rectangle((230, 40, 416, 56), 8, fill=(24, 62, 45, 255))
    drawing.rounded_rectangle((230, 68, 360, 80), 6, fill=(24, 62, 45, 255))
    written = io.BytesIO()
    image.save(written, "PNG")
    path.write_bytes(written.getvalue())
    return path


@pytest.fixture(scope="module")
def site(copy_of: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """acme looks as it came, globex as it likes. Both let people in in every way there is."""
    here = copy_of("sqlite")
    all_ways = ("--sign-up", "--trusted-devices", "--otp-role", "administrator")
    here.does("tenant", "configure", "acme", *all_ways)
    logo = _logo(tmp_path_factory.mktemp("logo") / "logo.png")
    look = ("--accent", "#1f7a4d", "--tagline", "Everything {tenant} makes, in one place.", "--logo", logo)
    here.does("tenant", "configure", "globex", *all_ways, *look)
    for tenant in ("acme", "globex"):
        here.does("client", "create", "--tenant", tenant, *REPORTS)
    with hosted(here, here.data.parent) as running:
        yield running


def _routes() -> set[str]:
    """The paths of all pages below a tenant's."""
    nothing: Any = None
    site = Site(
        snapshot=nothing,
        store=nothing,
        renderer=nothing,
        issuers=nothing,
        limit=nothing,
        observe=nothing,
        clock=nothing,
        public_url="",
    )
    routers = (
        login_router(site, nothing, nothing, nothing, nothing, mail=True),
        account_router(site, nothing, nothing, nothing, mail=True),
        authorize_router(AuthorizePages(site, nothing, nothing, nothing)),
    )
    routes = [route for router in routers for route in router.routes]
    paths = {route.path.removeprefix("/t/{slug}") for route in routes if isinstance(route, Route)}
    return paths - {CONSENT_PATH}  # which leads on to the client, and has no page


@pytest.mark.timeout(300)  # some fifty views, looked at four times each
@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_every_page_is_accessible_and_fits_and_the_browser_does_not_complain(site: Hosted, tenant: str) -> None:
    address = "erin@example.com"
    with site.window(axe=True) as window, site.window(user_agent=_PHONE_OF_OLD) as other:
        inspection = Inspection(window, _PICTURES[tenant])
        tour = Tour(site, tenant, inspection)
        tour.sign_up("frank@example.com")
        tour.change_factors()
        tour.log_out()
        app, codes = tour.accept_invitation(address)
        window.press("Log out")
        tour.log_in(app)
        other.go(f"/t/{tenant}/login")
        other.fill(username="erin", password=PASSWORD)
        other.press("Log in")
        other.press("Use a recovery code")
        other.fill(recovery_code=codes[0])
        other.press("Continue")
        other.sees("Your account")
        tour.walk_through_the_account(address)
        tour.connect_a_device()
        tour.let_an_application_in()
        tour.forget_password(f"new.{address}")
        tour.go_astray()
    assert {path.removeprefix(tour.base) for path in inspection.seen} == _routes()

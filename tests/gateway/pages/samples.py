"""Every page as somebody will see it: usual, with an error, with names as long or as hostile as they may be."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from jinja2 import FileSystemLoader
from PIL import Image, ImageDraw

from gateway.pages import qr
from gateway.pages.page import Page
from gateway.pages.renderer import Renderer
from tenants.branding import Branding, Logo
from tenants.tenant import Tenant

PUBLIC_URL = "http://localhost:8080"
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
LONG = "Vereinigte" + "Wasserwerkseinkaufsgenossenschaft" * 5 + " & Söhne <b>GmbH</b>"
NOT_PAGES = {"layout.html", "narrow.html", "wide.html", "macros.html"}
"""Templates that are parts of others."""

URI = "otpauth://totp/Acme:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme"
_WRONG = "The user name or the password is wrong."


def a_renderer() -> Renderer:
    """With a template of the tests' own, which uses every macro."""
    return Renderer(FileSystemLoader(Path(__file__).with_name("templates")))


def a_logo() -> Logo:
    """A wide PNG, black on nothing."""
    image = Image.new("RGBA", (480, 120), (0, 0, 0, 0))
    drawing = ImageDraw.Draw(image)
    drawing.ellipse((4, 4, 116, 116), fill=(20, 20, 20, 255))
    drawing.rectangle((150, 36, 470, 84), fill=(20, 20, 20, 255))
    written = io.BytesIO()
    image.save(written, "PNG")
    return Logo.checked(written.getvalue())


def a_tenant(slug: str = "acme", name: str = "Acme", branding: Branding = Branding()) -> Tenant:  # noqa: B008 - frozen
    """A tenant as the store would give it."""
    issuer = f"{PUBLIC_URL}/t/{slug}"
    return Tenant(UUID(int=1), slug, name, issuer, True, "ES256", None, NOW, branding=branding)


PLAIN = a_tenant()
BRANDED = a_tenant(
    "globex",
    "Globex",
    Branding(accent="#ffd400", tagline="Everything {tenant} makes, in one place.", logo=a_logo().version),
)
LONG_NAMED = a_tenant("long", LONG[:200], Branding(accent="#001133", tagline="x" * 200))
TENANTS = (PLAIN, BRANDED, LONG_NAMED)


@dataclass(frozen=True)
class Sample:
    """A page of one tenant. ``name`` is the file name of its picture."""

    name: str
    tenant: Tenant
    page: Page


def _contexts() -> Mapping[str, tuple[str, Mapping[str, object], Mapping[str, object]]]:
    """By template: title, usual context, and what is different at its worst."""
    hidden = {"login": "ylg_x", "return_to": "/t/acme/account?a=1&b=2"}
    codes = [f"k7mq-2xvd-9p4t-w{number}hz" for number in range(10)]
    return {
        "login.html": (
            "Log in",
            {"name": "", "hidden": hidden, "can_sign_up": True, "can_reset": True},
            {"name": LONG, "error": _WRONG, "notice": "You have been logged out."},
        ),
        "otp.html": (
            "Enter your code",
            {"hidden": {}, "can_trust": True},
            {"error": "This code is not right. Wait for the next one and try again.", "can_trust": False},
        ),
        "recovery.html": ("Recovery code", {"hidden": {}}, {"error": "This is not one of your codes, or it was used."}),
        "enrol.html": (
            "Set up a second factor",
            {"qr": qr.svg(URI), "secret": "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", "hidden": {}, "name": ""},
            {"error": "This code is not right.", "name": LONG[:100], "skip_url": "/t/acme/account", "uri": URI},
        ),
        "recovery_codes.html": ("Recovery codes", {"codes": codes, "continue_url": "/t/acme/account"}, {}),
        "sign_up.html": (
            "Create an account",
            {"email": ""},
            {"email": f"{'a' * 64}@{'b' * 63}.example", "error": "This is not an email address."},
        ),
        "forgot.html": (
            "Forgot your password",
            {"identifier": ""},
            {"identifier": HOSTILE, "error": "Type who you are."},
        ),
        "sent.html": ("Check your mail", {"text": "If there is such an account, a link is on its way."}, {}),
        "new_password.html": (
            "Choose a password",
            {
                "heading": "Choose a new password",
                "text": "You are asked for your second factor afterwards, as always.",
                "user_name": "alice@example.com",
                "ask_name": False,
                "min_length": 15,
                "hidden": {"token": "ypr_x"},
                "wrong": None,
            },
            {
                "ask_name": True,
                "user_name": LONG,
                "error": "Too many people have this password.",
                "wrong": "password",
                "heading": LONG,
            },
        ),
        "confirm.html": (
            "Confirm your address",
            {
                "heading": "Is this your address?",
                "text": "alice@example.com",
                "button": "Yes, it is mine",
                "hidden": {},
            },
            {"text": HOSTILE, "error": "This link was used before.", "cancel_url": "/t/acme/login"},
        ),
        "device.html": (
            "Connect a device",
            {
                "code": "",
                "user_name": "alice",
                "again_url": "/t/acme/login?again=yes",
                "action": "/t/acme/device/confirm",
            },
            {"code": HOSTILE[:64], "user_name": LONG, "error": "No device waits with that code. Look at it again."},
        ),
        "device_confirm.html": (
            "Connect Television",
            {
                "app": "Television",
                "code": "WDJB-MJHT",
                "asks": ["Know who you are", "Your email address", "orders:read"],
                "facts": [
                    ("At", "https://api.example.com/orders"),
                    ("Stays connected", "Up to 90 days"),
                    ("Your account", "alice"),
                    ("Asked from", "203.0.113.7 (Berlin, Germany)"),
                    ("Asked", "just now"),
                ],
                "unvetted": False,
                "action": "/t/acme/device/confirm",
                "hidden": {"user_code": "WDJB-MJHT"},
            },
            {
                "app": LONG,
                "asks": [HOSTILE, "x" * 300],
                "facts": [("Your account", HOSTILE), ("Asked from", LONG)],
                "unvetted": True,
            },
        ),
        "message.html": (
            "Logged out",
            {
                "heading": "You are logged out",
                "text": "See you.",
                "link_url": "/t/acme/login",
                "link_text": "Log in again",
            },
            {"heading": HOSTILE, "text": LONG, "link_url": None, "link_text": None},
        ),
        "consent.html": (
            "Allow Reports",
            {
                "app": "Reports",
                "client_uri": "https://reports.example",
                "policy_uri": "https://reports.example/privacy",
                "tos_uri": "https://reports.example/terms",
                "user_name": "alice",
                "asks": ["Know who you are", "Your email address", "orders:read"],
                "facts": [
                    ("At", "https://api.example.com/orders"),
                    ("Leads you to", "reports.example"),
                    ("Stays connected", "Up to 90 days"),
                ],
                "unvetted": False,
                "action": "/t/acme/authorize/consent",
                "hidden": {"begun": "ybg_x"},
                "other_account": "/t/acme/login?again=yes",
            },
            {
                "app": LONG[:200],
                "client_uri": None,
                "policy_uri": None,
                "tos_uri": None,
                "user_name": LONG[:254],
                "asks": [HOSTILE, "x" * 100],
                "facts": [
                    ("At", ", ".join((f"https://{'a' * 60}.{'b' * 60}.example/{'c' * 200}",) * 3)),
                    ("Leads you to", f"{'a' * 60}.{'b' * 60}.example"),
                    ("Stays connected", HOSTILE),
                ],
                "unvetted": True,
            },
        ),
        "form_post.html": (
            "Back",
            {"app": "Reports", "action": "https://app.example/callback", "parameters": {"code": "yac_x", "iss": "y"}},
            {"app": LONG[:200], "parameters": {"state": HOSTILE}},
        ),
        "authorize_error.html": (
            "Error",
            {
                "code": "invalid_request",
                "reason": "redirect_uri_unregistered",
                "text": "The redirect_uri is not registered for this client.",
                "request_id": "0198b2f0c3a57e1d",
            },
            {"text": LONG, "reason": "x" * 100},
        ),
        "error.html": (
            "That did not work",
            {"heading": "That did not work", "text": "The link is too old.", "request_id": "0198b2f0c3a57e1d"},
            {"text": LONG},
        ),
        "sample_account.html": (
            "Account",
            {
                "now": NOW,
                "user": "alice@example.com",
                "entries": [(f"/t/acme/account{path}", text) for path, text in _SECTIONS],
                "rows": [("Logged in", "Firefox on Linux", NOW), ("Password changed", "Chrome on Android", NOW)],
            },
            {"error": "The current password is wrong.", "user": LONG, "rows": [(HOSTILE, LONG, NOW)] * 3},
        ),
    }


_SHOWN_BRANDED = {"login.html", "enrol.html", "sample_account.html"}
_SECTIONS = (("", "Profile"), ("/password", "Password"), ("/factors", "Second factor"), ("/sessions", "Sessions"))


def samples() -> list[Sample]:
    """All of them: the usual one, plain or branded; the worst one in a tenant with a very long name."""
    found = []
    for template, (title, usual, worst) in _contexts().items():
        page = Page(template, title, usual, scripted=template == "form_post.html")
        name = template.removesuffix(".html")
        found.append(Sample(f"{name}-plain", PLAIN, page))
        if template in _SHOWN_BRANDED:
            found.append(Sample(f"{name}-branded", BRANDED, page))
        found.append(Sample(f"{name}-worst", LONG_NAMED, replace(page, context={**usual, **worst})))
    return found

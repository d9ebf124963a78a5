"""The account pages as somebody will see them: usual, and with as much and as long as there may be."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from gateway.account.activity_page import ActivityLine
from gateway.account.apps_page import AppLine
from gateway.account.devices_page import DeviceLine
from gateway.account.sessions_page import SessionLine
from gateway.pages.page import Page
from tenants.totp import Factor
from tenants.users import User
from tests.gateway.pages.samples import HOSTILE, LONG, LONG_NAMED, NOW, PLAIN, Sample

_ID = UUID(int=7)
_ADDRESS = "2001:db8:1234:5678:9abc:def0:1234:5678"
_ALICE = User(_ID, "alice", "alice", True, NOW, "alice@example.com", True)
_SESSION = SessionLine(
    _ID,
    device="Firefox on Linux",
    app=None,
    address="203.0.113.7",
    place="Berlin, Germany",
    since=NOW - timedelta(days=3),
    seen=NOW,
    is_this=True,
)
_DEVICE = DeviceLine(
    _ID,
    device="Firefox on Linux",
    address="203.0.113.7",
    place="Berlin, Germany",
    since=NOW - timedelta(days=3),
    seen=NOW,
    trusted_until=NOW + timedelta(days=30),
    is_this=True,
)
_APP = AppLine("reports", "Reports", ("Know who you are", "orders:read"), NOW)
_FACTOR = Factor(_ID, _ID, "My phone", NOW, NOW, NOW)
_DONE = ActivityLine(NOW, "Logged in", "203.0.113.7", "Berlin, Germany", alarming=False)


@dataclass(frozen=True)
class _Lists:
    sessions: tuple[SessionLine, ...]
    devices: tuple[DeviceLine, ...]
    activity: tuple[ActivityLine, ...]


_USUAL = _Lists(
    (
        _SESSION,
        replace(_SESSION, id=UUID(int=8), device="Safari on iPhone", is_this=False),
        replace(_SESSION, id=UUID(int=9), device="okhttp", app="Orders", place="", is_this=False),
    ),
    (_DEVICE, replace(_DEVICE, id=UUID(int=8), device="Safari on iPhone", trusted_until=None, is_this=False)),
    (_DONE, replace(_DONE, text="Wrong password", place="", alarming=True), replace(_DONE, text="Password changed")),
)
_WORST = _Lists(
    tuple(
        replace(_SESSION, device="x" * 40, app=HOSTILE, place=LONG[:200], address=_ADDRESS, is_this=False)
        for _ in "123"
    ),
    tuple(replace(_DEVICE, device="x" * 40, place=LONG[:200], address=_ADDRESS) for _ in "123"),
    tuple(replace(_DONE, text=LONG, place=HOSTILE, address=_ADDRESS, alarming=True) for _ in "123"),
)


def _overview(lists: _Lists, user: User, factors: tuple[Factor, ...], *, due: bool = False) -> dict[str, object]:
    return {
        "user": user,
        "can_change_email": True,
        "factors": factors,
        "factor_offered": True,
        "factor_due": NOW + timedelta(days=7) if due else None,
        "codes_left": 10,
        "sessions": lists.sessions,
        "session_count": 12,
        "devices": lists.devices,
        "device_count": 12,
        "activity": lists.activity,
    }


def samples() -> list[Sample]:
    """All of them."""
    long_user = User(_ID, LONG[:254], "long", True, NOW, f"{'a' * 64}@{'b' * 63}.example", False)
    nobody = User(_ID, "bob", "bob", True, NOW, None, False)
    long_factors = tuple(Factor(_ID, _ID, LONG[:100], NOW, NOW, None) for _ in "123")
    empty = _Lists((_SESSION,), (), ())
    pages = {
        "overview-usual": Page("account/overview.html", "Your account", _overview(_USUAL, _ALICE, (_FACTOR,))),
        "overview-empty": Page("account/overview.html", "Your account", _overview(empty, nobody, (), due=True)),
        "overview-worst": Page("account/overview.html", "Your account", _overview(_WORST, long_user, long_factors)),
        "sessions-usual": Page("account/sessions.html", "Sessions", {"sessions": _USUAL.sessions}),
        "sessions-worst": Page("account/sessions.html", "Sessions", {"sessions": _WORST.sessions}),
        "apps-usual": Page("account/apps.html", "Applications", {"apps": (_APP, replace(_APP, name="Mail", asks=()))}),
        "apps-empty": Page("account/apps.html", "Applications", {"apps": ()}),
        "apps-worst": Page(
            "account/apps.html",
            "Applications",
            {"apps": tuple(replace(_APP, name=LONG[:200], asks=(HOSTILE, "x" * 100)) for _ in "123")},
        ),
        "devices-usual": Page("account/devices.html", "Devices", {"devices": _USUAL.devices}),
        "devices-empty": Page("account/devices.html", "Devices", {"devices": ()}),
        "devices-worst": Page("account/devices.html", "Devices", {"devices": _WORST.devices}),
        "activity-usual": Page("account/activity.html", "Recent activity", {"activity": _USUAL.activity}),
        "activity-empty": Page("account/activity.html", "Recent activity", {"activity": ()}),
        "activity-worst": Page("account/activity.html", "Recent activity", {"activity": _WORST.activity}),
        "password-usual": Page(
            "account/password.html", "Password", {"user_name": "alice", "min_length": 15, "wrong": None}
        ),
        "password-worst": Page(
            "account/password.html",
            "Password",
            {"user_name": LONG[:254], "min_length": 64, "error": LONG, "wrong": "current_password"},
        ),
        "email-usual": Page("account/email.html", "Email address", {"email": "", "is_name": False}),
        "email-worst": Page("account/email.html", "Email address", {"email": HOSTILE, "is_name": True, "error": LONG}),
        "factor_name-usual": Page("account/factor_name.html", "Rename an authenticator", {"name": "My phone"}),
        "factor_name-worst": Page(
            "account/factor_name.html", "Rename an authenticator", {"name": HOSTILE, "error": LONG}
        ),
    }
    return [Sample(name, LONG_NAMED if name.endswith("worst") else PLAIN, page) for name, page in pages.items()]

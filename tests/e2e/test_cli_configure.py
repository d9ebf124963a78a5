"""``yett tenant configure``: what is named is changed and told, the rest stays, what no tenant may have is refused."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation

_ACME = ("--tenant", "acme")


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves and that has no mail."""
    return copy_of("sqlite")


def test_configure_changes_what_is_named_and_leaves_the_rest(here: Installation) -> None:
    before = here.does("tenant", "show", "globex")
    said = here.does(
        *("tenant", "configure", "globex", "--otp", "required", "--otp-grace", "7d", "--trusted-devices"),
        *("--password-min-length", "12", "--mail-sender", "login@globex.example"),
        *("--accent", "#AA00ff", "--tagline", "Welcome to {tenant}"),
        *("--lifetime", "session=7d", "--lifetime", "reset_link=90m"),
    )
    assert said == here.does("tenant", "show", "globex")
    changed = {name: value for name, value in said.items() if value != before[name]}
    assert changed.pop("otp_required_since")
    assert set(changed.pop("lifetimes")) - set(before["lifetimes"]) == {"session=7d", "reset_link=90m"}
    assert changed == {
        "otp": "required",
        "otp_grace": "7d",
        "trusted_devices": True,
        "password_min_length": 12,
        "mail_sender": "login@globex.example",
        "accent": "#aa00ff",
        "tagline": "Welcome to {tenant}",
    }
    event = last_event(here, "globex")
    assert (event["type"], event["actor"].startswith("cli:")) == ("tenant.configured", True)
    assert event["details"]["changed"] == [
        *("accent", "lifetimes.reset_link", "lifetimes.session", "mail_sender", "otp", "otp_grace"),
        *("otp_required_since", "password_min_length", "tagline", "trusted_devices"),
    ]

    back = here.does(
        *("tenant", "configure", "globex", "--otp", "optional", "--otp-grace", "0s", "--no-trusted-devices"),
        *("--password-min-length", "default", "--mail-sender", "default", "--accent", "default"),
        *("--tagline", "default", "--lifetime", "session=default", "--lifetime", "reset_link=30m"),
    )
    assert back == before
    assert here.rows("SELECT people, branding, lifetimes FROM tenants WHERE slug = 'globex'") == [("{}", "{}", "{}")]


def test_detections_have_thresholds_of_the_tenants_own_and_can_be_switched_off(here: Installation) -> None:
    before = here.does("tenant", "show", "globex")["detections"]
    assert "accounts_from_network=30/10m" in before
    own = ("--detection", "accounts_from_network=5/1h", "--detection", "new_device=off")
    said = here.does("tenant", "configure", "globex", *own)["detections"]
    assert set(said) - set(before) == {"accounts_from_network=5/1h", "new_device=off"}
    event = here.does("audit", "list", "--tenant", "globex", "--severity", "high")[-1]
    assert event["details"] == {"changed": ["detections"], "weakened": ["detections.new_device"]}
    assert here.does("audit", "list", "--severity", "critical") == []
    back = ("--detection", "accounts_from_network=default", "--detection", "new_device=default")
    assert here.does("tenant", "configure", "globex", *back)["detections"] == before
    assert here.rows("SELECT detections FROM tenants WHERE slug = 'globex'") == [("{}",)]


def test_who_gets_to_administer_is_told_with_high_severity(here: Installation) -> None:
    here.does("role", "create", *_ACME, "clerk", "orders:read")
    here.does("role", "create", *_ACME, "owner", "orders:read", "admin:users")
    for role, severity in (("clerk", "low"), ("owner", "high")):
        here.does("user", "assign", *_ACME, "bob", role)
        event = last_event(here)
        assert (event["details"]["role"], event["severity"]) == (role, severity)
        here.does("user", "invite", *_ACME, "--print-link", "--name", f"new-{role}", "--role", role)
        assert last_event(here).get("severity") == (severity if role == "owner" else None)
    made = here.does("audit", "list", *_ACME, "--type", "role.created", "--severity", "high")
    assert [event["details"]["role"] for event in made][-1] == "owner"


def test_what_changes_nothing_is_no_event(here: Installation) -> None:
    here.does("tenant", "configure", "acme", "--accent", "#112233")
    event = last_event(here)
    here.does("tenant", "configure", "acme", "--accent", "#112233", "--otp", "optional", "--lifetime", "session=30d")
    assert last_event(here)["id"] == event["id"]


def test_a_letters_text_comes_from_a_file_or_from_standard_input_and_never_gets_into_the_log(
    here: Installation, tmp_path: Path
) -> None:
    text = tmp_path / "reset.txt"
    text.write_text("Guten Tag {user},\r\nzum neuen Kennwort: {link}\n", encoding="utf-8")
    options = ("--mail-text", f"reset={text}", "--mail-text", "reset.subject=-")
    said = here.does("tenant", "configure", "acme", *options, stdin="Neues Kennwort\n")
    assert said["mail_texts"] == ["reset", "reset.subject"]
    stored = here.rows("SELECT people FROM tenants WHERE slug = 'acme'")
    assert json.loads(stored[0][0])["mail_texts"] == {
        "reset": "Guten Tag {user},\nzum neuen Kennwort: {link}",
        "reset.subject": "Neues Kennwort",
    }
    assert last_event(here)["details"] == {"changed": ["mail_texts"]}
    assert "Kennwort" not in here.run("audit", "export", *_ACME, "--out", "-").out

    fewer = here.does("tenant", "configure", "acme", "--mail-text", "reset=default")
    assert fewer["mail_texts"] == ["reset.subject"]
    text.write_bytes(b"\xff\xfe")
    refused(here, "tenant", "configure", "acme", "--mail-text", f"reset={text}", says="is not UTF-8 text")
    refused(here, "tenant", "configure", "acme", "--mail-text", "reset=-", says="is empty", stdin=" \n")
    missing = tmp_path / "none"
    refused(here, "tenant", "configure", "acme", "--mail-text", f"reset={missing}", says="No such file")


def test_a_logo_is_an_image_by_its_own_bytes(here: Installation, tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    logo, drawing, large = tmp_path / "logo.png", tmp_path / "drawing.png", tmp_path / "large.png"
    logo.write_bytes(image.getvalue())
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    large.write_bytes(image.getvalue() + bytes(300_000))
    version = here.does("tenant", "configure", "acme", "--logo", logo)["logo"]
    assert re.fullmatch("[0-9a-f]{16}", version)
    assert here.rows("SELECT media_type, image FROM logos") == [("image/png", image.getvalue())]
    refused(here, "tenant", "configure", "acme", "--logo", drawing, says="a logo is one whole PNG, JPEG or WebP image")
    refused(here, "tenant", "configure", "acme", "--logo", large, says="a logo has at most 256 KiB")
    assert here.does("tenant", "show", "acme")["logo"] == version
    assert here.does("tenant", "configure", "acme", "--no-logo")["logo"] is None
    assert here.rows("SELECT media_type FROM logos") == []


def test_roles_that_need_a_second_factor_exist(here: Installation) -> None:
    refused(here, "tenant", "configure", "acme", "--otp-role", "administrators", says="no role 'administrators'")
    said = here.does("tenant", "configure", "acme", "--otp-role", "reader", "--otp-role", "administrator")
    assert said["otp_roles"] == ["administrator", "reader"]
    assert said["otp_required_since"]
    assert here.does("tenant", "configure", "acme", "--otp-role", "reader")["otp_roles"] == ["reader"]
    cleared = here.does("tenant", "configure", "acme", "--no-otp-roles")
    assert (cleared["otp_roles"], cleared["otp_required_since"]) == ([], None)


def test_sign_up_without_mail_is_warned_of(here: Installation, tmp_path: Path) -> None:
    with_mail = replace(here, settings={**here.settings, "YETT_MAIL__DIRECTORY": str(tmp_path)})
    warned = here.run("tenant", "configure", "acme", "--sign-up")
    assert (warned.code, "no mail is configured" in warned.err) == (0, True)
    silent = with_mail.run("tenant", "configure", "acme", "--sign-up")
    assert (silent.code, silent.err) == (0, "")
    assert here.does("tenant", "configure", "acme", "--no-sign-up")["sign_up"] is False


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "name at least one thing to change"),
        (("--otp", "sometimes"), "is not one of"),
        (("--otp-grace", "a week"), "must be a duration"),
        (("--otp-grace", "500ms"), "is not in whole seconds"),
        (("--password-min-length", "ten"), "is neither a whole number nor 'default'"),
        (("--lifetime", "tea=5m"), "'tea' is not a lifetime: one of access_token,"),
        (("--lifetime", "session"), "session needs a value"),
        (("--lifetime", "session=1d", "--lifetime", "session=2d"), "session stands there twice"),
        (("--mail-text", "postcard=text.txt"), "'postcard' is not a letter's text"),
        (("--mail-text", "reset=-", "--mail-text", "invite=-"), "standard input can be read once only"),
        (("--otp-role", "reader", "--no-otp-roles"), "an option and its opposite"),
        (("--detection", "rain=1/1d"), "'rain' is not a detection: one of accounts_from_network,"),
        (("--detection", "new_device=often"), "is not so many within a time, as in 20/10m, nor 'off'"),
        (("--detection", "new_device=1/soon"), "must be a duration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_malformed_is_wrong_usage(here: Installation, options: tuple[str, ...], says: str) -> None:
    result = here.run("tenant", "configure", "acme", *options)
    assert (result.code, result.out) == (2, "")
    assert says in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--password-min-length", "7"), "8 to 64"),
        (("--otp-grace", "91d"), "at most 90 days"),
        (("--accent", "red"), "a colour is #rrggbb"),
        (("--tagline", "{user}"), "no other field than {tenant}"),
        (("--mail-sender", "Acme <acme@example.com>"), "a sender is an email address"),
        (("--lifetime", "access_token=2d"), "an access token lives at most"),
        (("--lifetime", "session=0s"), "a lifetime is at least a second"),
        (("--detection", "new_device=0/1d"), "new_device is told from 1 to 500 on"),
        (("--detection", "new_device=1/30s"), "a window of a minute to 7 days"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_no_tenant_may_have_is_refused_and_nothing_is_changed(
    here: Installation, options: tuple[str, ...], says: str
) -> None:
    before = here.does("tenant", "show", "acme")
    refused(here, "tenant", "configure", "acme", "--trusted-devices", *options, says=says)
    assert here.does("tenant", "show", "acme") == before

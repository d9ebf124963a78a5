"""``yett tenant configure``: what a tenant asks of its people, how its pages and letters look, how long things last.
What it sets of the OAuth server is in tenant_provider.py, and of detections in tenant_detections.py.

What is stored is checked where it is made (``PeoplePolicy``, ``Branding``, ``Lifetimes``); here it is read and told.
"""

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import (
    DEFAULT,
    Durations,
    Files,
    named_durations,
    named_files,
    one_duration,
    whole_number,
)
from gateway.cli.options import Invocation, by, command
from gateway.cli.tenant import fields_of, spelled
from gateway.cli.tenant_detections import detection_option
from gateway.cli.tenant_provider import provider_changes, provider_options
from gateway.installation import Installation, utc_now
from gateway.mail.wording import OWN_TEXTS
from policies.detection import Kind
from policies.password import LEAST_MIN_LENGTH, MOST_MIN_LENGTH
from policies.sightings import Rule
from tenants import audit_retention
from tenants.acts import tenants as acts
from tenants.branding import LARGEST_LOGO, Logo
from tenants.lifetimes import Lifetimes
from tenants.people import Otp
from tenants.store import TenantStore
from tenants.tenant import Tenant

_NEVER_CHANGED = Lifetimes()
_LIFETIMES = {entry.name: spelled(getattr(_NEVER_CHANGED, entry.name)) for entry in fields(Lifetimes)}
_LIFETIMES_HELP = ", ".join(f"{name} {default}" for name, default in _LIFETIMES.items())
_LETTERS_HELP = ", ".join(sorted(name for name in OWN_TEXTS if "." not in name))


@command(None)
@click.argument("slug")
@click.option(
    "--otp",
    type=click.Choice(get_args(Otp)),
    help="Whether people may enrol a second factor, and whether all of them have to. Default: optional.",
)
@click.option(
    "--otp-role",
    "otp_roles",
    multiple=True,
    help="A role whose users must have a second factor, whatever --otp says; may be repeated. Replaces the roles from "
    "before. Default: none.",
)
@click.option("--no-otp-roles", is_flag=True, help="No role needs a second factor more than others do.")
@click.option(
    "--otp-grace",
    metavar="DURATION",
    callback=one_duration,
    help="How long somebody may log in without a second factor once it is required of them, 0s to 90d. Default: 0s.",
)
@click.option(
    "--trusted-devices/--no-trusted-devices",
    default=None,
    help="Whether a browser may be told to stand in for the second factor. Default: no.",
)
@click.option(
    "--sign-up/--no-sign-up", default=None, help="Whether strangers may make themselves an account. Default: no."
)
@click.option(
    "--password-min-length",
    "min_length",
    metavar="N|default",
    callback=whole_number,
    help=f"The least length of a new password, {LEAST_MIN_LENGTH} to {MOST_MIN_LENGTH} characters. Default: 8 with a "
    "second factor and 15 without (NIST SP 800-63B-4).",
)
@click.option(
    "--mail-sender",
    metavar="ADDRESS|default",
    help="The address that letters come from. Default: the installation's mail.sender.",
)
@click.option(
    "--mail-text",
    "mail_texts",
    metavar="KIND=FILE|default",
    multiple=True,
    callback=named_files(OWN_TEXTS, "a letter's text"),
    help="A letter's own text, from a UTF-8 file or from standard input (-): plain text with named fields such as "
    f"{{user}}, {{tenant}} and {{link}}; may be repeated. KIND is one of {_LETTERS_HELP}; with .subject or .button "
    "behind it, what stands above the text. Default: the built-in text.",
)
@click.option("--accent", metavar="#RRGGBB|default", help="The colour of pages and letters. Default: blue.")
@click.option(
    "--tagline",
    metavar="TEXT|default",
    help="A line under the tenant's name on every page; {tenant} stands for the name. Default: none.",
)
@click.option(
    "--logo",
    "logo_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A PNG, JPEG or WebP image of at most 256 KiB and 2000 pixels a side. Default: none.",
)
@click.option("--no-logo", is_flag=True, help="Show the tenant's name alone.")
@click.option(
    "--lifetime",
    "lifetimes",
    metavar="NAME=DURATION|default",
    multiple=True,
    callback=named_durations(_LIFETIMES, "a lifetime"),
    help="How long something lasts, as in session=7d; may be repeated. The names and their defaults: "
    f"{_LIFETIMES_HELP}.",
)
@detection_option(spelled)
@provider_options
async def configure(
    call: Invocation,
    slug: str,
    otp: str | None,
    otp_roles: tuple[str, ...],
    no_otp_roles: bool,
    otp_grace: timedelta | None,
    trusted_devices: bool | None,
    sign_up: bool | None,
    min_length: int | str | None,
    mail_sender: str | None,
    mail_texts: Files,
    accent: str | None,
    tagline: str | None,
    logo_file: Path | None,
    no_logo: bool,
    lifetimes: Durations,
    detections: dict[Kind, Rule | None],
    **provider_values: Any,
) -> None:
    """Change what is named, leave the rest, and print what is set now.

    A running server goes by it from the next request on.
    """
    if (otp_roles and no_otp_roles) or (logo_file and no_logo):
        raise click.UsageError("an option and its opposite cannot both be meant")
    policy = _given(
        otp=otp,
        otp_roles=() if no_otp_roles else otp_roles or None,
        otp_grace=otp_grace,
        trusted_devices=trusted_devices,
        sign_up=sign_up,
        password_min_length=min_length,
        mail_sender=mail_sender,
    )
    look = _given(accent=accent, tagline=tagline)
    provider = provider_changes(**provider_values)
    if not (policy or look or provider or mail_texts or lifetimes or detections or logo_file or no_logo):
        raise click.UsageError("name at least one thing to change; `yett tenant show` prints what is set")
    texts = {kind: None if file is None else _read_text(file) for kind, file in mail_texts.items()}
    logo = None if logo_file is None else _read_logo(logo_file)
    async with call.installation() as installation:
        found = await installation.directory.find(slug)
        if found is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        async with installation.store.for_tenant(found.id) as store:
            before = await _current(store, slug)
            for role in policy.get("otp_roles", ()):
                if await store.roles.get(role) is None:
                    raise Refused(f"there is no role {role!r} in {slug}")
            if texts:
                policy["mail_texts"] = _merged(before.people.mail_texts, texts)
            if logo is not None or no_logo:
                look["logo"] = None if logo is None else logo.version
            after = replace(
                before,
                people=before.people.changed(utc_now(), **policy),
                branding=before.branding.checked(**look),
                lifetimes=_lasting(before.lifetimes, lifetimes),
                provider=before.provider.changed(**provider),
                detections=before.detections.changed(detections),
            )
            if logo is not None:
                await store.logos.set(logo)
            elif no_logo:
                await store.logos.remove()
            await acts.configure(store, by(), before, after)
            former = await store.former_issuers.list()
        if after.lifetimes.audit_events != before.lifetimes.audit_events:
            await _keep_events(installation, before, after)
    if after.people.sign_up and not call.settings().mail.configured:
        click.echo("yett: warning: no mail is configured, and without a letter nobody can sign up.", err=True)
    call.output.item(fields_of(after, former))


async def _current(store: TenantStore, slug: str) -> Tenant:
    """As it is in this transaction: what another command has just set stays set."""
    found = await store.settings.get()
    if found is None:
        raise Refused(f"the tenant {slug!r} is gone")
    return found


async def _keep_events(installation: Installation, before: Tenant, after: Tenant) -> None:
    """In a transaction of its own, behind the other one: another role of the database does that.

    Raises:
        Refused: somebody else has changed it meanwhile. What else was named is done.
    """
    done = await audit_retention.keep_events(
        installation.database,
        before.id,
        after.lifetimes.audit_events,
        told=acts.retention_configured(by(), before.lifetimes, after.lifetimes),
        now=installation.clock(),
        before=before.lifetimes.audit_events,
    )
    if not done:
        raise Refused("how long events are kept was changed meanwhile, and stays so; everything else is set")


def _given(**values: object) -> dict[str, Any]:
    """What was named on the command line; ``default`` is None, as it is stored."""
    return {name: None if value == DEFAULT else value for name, value in values.items() if value is not None}


def _lasting(before: Lifetimes, changes: Durations) -> Lifetimes:
    """Checked as a whole: what is stored can always be read again."""
    durations = {name: getattr(_NEVER_CHANGED, name) if value is None else value for name, value in changes.items()}
    return Lifetimes.from_seconds(acts.differing_seconds(replace(before, **durations)))


def _merged(before: tuple[tuple[str, str], ...], changes: dict[str, str | None]) -> tuple[tuple[str, str], ...]:
    merged: dict[str, str | None] = {**dict(before), **changes}
    return tuple((kind, text) for kind, text in merged.items() if text is not None)


def _read_text(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            text: str = opened.read().strip()
    except UnicodeDecodeError as error:
        raise Refused(f"{file} is not UTF-8 text") from error
    if not text:
        raise Refused(f"{file} is empty; KIND={DEFAULT} brings the built-in text back")
    return text


def _read_logo(file: Path) -> Logo:
    with file.open("rb") as opened:
        return Logo.checked(opened.read(LARGEST_LOGO + 1))

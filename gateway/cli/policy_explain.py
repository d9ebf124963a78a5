"""``yett policy explain``: the decision about one request, and the rule that took it."""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from gateway import telemetry
from gateway.authn.api_key import ApiKeys
from gateway.authn.bearer import Bearer
from gateway.authn.token_table import TokenTable
from gateway.cli.errors import SaidNo
from gateway.cli.option_values import one_duration
from gateway.cli.options import Invocation, command
from gateway.context import Address
from gateway.installation import open_installation
from gateway.proxy.rehearsal import Facts
from gateway.rehearsing.facts import (
    Caller,
    from_claims,
    from_token,
    moment,
    payload,
    request_facts,
    source,
    with_principal,
)
from gateway.rehearsing.gate import rehearsal
from gateway.rehearsing.words import as_fields, as_lines, as_tree, sentence
from gateway.settings import Settings, is_slug
from tenants.snapshot import Snapshot

_STDIN = "-"


def _source(_: click.Context, __: click.Parameter, text: str | None) -> Address:
    try:
        return source(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no address") from error


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> float:
    try:
        return time.time() if text is None else moment(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time, as 2026-11-30T12:00:00Z") from error


def _claims(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not name or not equals or name in found:
            raise click.BadParameter(f"{entry!r} is not NAME=VALUE, or stands there twice")
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value  # plain text need not be quoted
    return found


def _tenant(_: click.Context, __: click.Parameter, slug: str | None) -> str | None:
    if slug is not None and not is_slug(slug):
        raise click.BadParameter(f"{slug!r} is no tenant's slug")
    return slug


@command(None, "explain")
@click.argument("method")
@click.argument("url")
@click.option(
    "--token-file", metavar="FILE", help="An access token or API key; - is standard input. Needs the database."
)
@click.option("--claims-file", metavar="FILE", help="A token's claims as JSON, taken as verified; - is standard input.")
@click.option("--tenant", callback=_tenant, help="Whose token it is. Without any of these nobody asks.")
@click.option("--subject", help="Who asks.")
@click.option("--client", help="The client that the token was issued to.")
@click.option("--scope", "scopes", multiple=True, help="A scope of the token. Repeatable.")
@click.option("--audience", "audiences", multiple=True, help="What it is for. Default: the API that is asked.")
@click.option("--acr", help="Its authentication context class.")
@click.option("--amr", multiple=True, help="A method of its login. Repeatable.")
@click.option("--auth-age", callback=one_duration, metavar="DURATION", help="How long ago that was, as 5m.")
@click.option(
    "--claim", "claim", multiple=True, callback=_claims, metavar="NAME=VALUE", help="A further claim. Repeatable."
)
@click.option("--api-key", is_flag=True, help="It is an API key, and no token: without a client and a login.")
@click.option("--source-ip", "address", callback=_source, help="Where the request comes from. Default: no network's.")
@click.option("--at", callback=_moment, metavar="TIME", help="When, as 2026-11-30T12:00:00Z. Default: now.")
async def explain(
    call: Invocation,
    method: str,
    url: str,
    *,
    token_file: str | None,
    claims_file: str | None,
    tenant: str | None,
    address: Address,
    at: float,
    **facts_of: Any,
) -> None:
    """Say what the gateway would do with a request, and which rule says so. Nothing is sent anywhere.

    Exits 0 where it would be let through, 1 where not.
    """
    settings = call.settings()
    given = [name for name, value in facts_of.items() if value not in (None, (), {}, False)]
    if (token_file is not None) + (claims_file is not None) + bool(given) > 1 or (token_file and tenant):
        raise click.UsageError("say who asks in one way: --token-file, or --tenant with --claims-file or with facts")
    if (claims_file is not None or given) and tenant is None:
        raise click.UsageError("--tenant is missing: whose token is it?")
    if facts_of["api_key"] and {"client", "acr", "amr", "auth_age", "claim"} & set(given):
        raise click.UsageError("an API key has neither a client nor a login nor claims")
    try:
        facts = request_facts(method, url, address=address, at=at)
    except ValueError as error:
        raise click.UsageError(f"{url}: {error}") from error
    gate = rehearsal(settings)
    if token_file is not None:
        facts = await _verified(settings, facts, _read(token_file).strip().encode())
    elif claims_file is not None and tenant is not None:
        facts = _claimed(facts, claims_file, tenant)
    elif tenant is not None:
        facts = with_principal(facts, _caller(tenant, facts_of).principal(at, gate.audiences))
    found, explained = gate.explain(facts)
    if call.output.as_json:
        tree = None if explained is None else as_tree(explained)
        call.output.say("", **as_fields(found), rule=tree, config=settings.digest)
    else:
        answer = "" if found.status is None else f" (answered {found.status})"
        lines = [f"{sentence(found)}{answer}", f"route: {found.route or 'none'}"]
        call.output.say("\n".join([*lines, *(() if explained is None else as_lines(explained))]))
    if found.decision not in ("allow", "answer"):
        raise SaidNo


def _caller(tenant: str, facts_of: dict[str, Any]) -> Caller:
    age: timedelta | None = facts_of["auth_age"]
    return Caller(
        tenant=tenant,
        subject=facts_of["subject"] or "somebody",
        client=facts_of["client"] or "some-client",
        scopes=facts_of["scopes"],
        audiences=facts_of["audiences"] or None,
        acr=facts_of["acr"],
        amr=facts_of["amr"],
        auth_age=None if age is None else int(age.total_seconds()),
        claims=facts_of["claim"],
        api_key=facts_of["api_key"],
    )


def _claimed(facts: Facts, file: str, tenant: str) -> Facts:
    try:
        return from_claims(facts, payload(_read(file)), tenant)
    except ValueError as error:
        raise click.UsageError(f"--claims-file {error}") from error


async def _verified(settings: Settings, facts: Facts, token: bytes) -> Facts:
    """By the keys and the revocations of the installation."""
    telemetry.configure(settings.log.model_copy(update={"level": "warning"}))
    async with open_installation(settings) as installation:
        snapshot = Snapshot(installation.database, clock=installation.clock, monotonic=time.monotonic)
        await snapshot.load()
        keys = ApiKeys(snapshot, lambda: facts.at, lambda *_: None)  # which is no use of it
        bearer = Bearer(snapshot, TokenTable(), lambda: facts.at, api_keys=keys.authenticate)
        return from_token(facts, bearer.authenticate(token))


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == _STDIN else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read") from error

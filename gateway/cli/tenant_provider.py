"""What ``yett tenant configure`` sets of a tenant's OAuth server, and how it is printed.

What is stored is checked where it is made (``ProviderPolicy``); here it is read from the command line.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

from gateway.cli.option_values import NEVER, ScopeClaims, days_or_never, scope_claims
from policies.claim_mapping import SOURCES
from tenants.provider import ProviderPolicy

Function = TypeVar("Function", bound=Callable[..., Any])

_DEFAULT = ProviderPolicy()
_OPTIONS = (
    click.option(
        "--registration/--no-registration",
        default=None,
        help="Whether applications may register themselves as clients (RFC 7591), each with an initial access token. "
        "Default: no.",
    ),
    click.option(
        "--registered-clients",
        metavar="N",
        type=click.IntRange(0, 100_000),
        help=f"How many may have registered themselves at a time. Default: {_DEFAULT.registered_clients}.",
    ),
    click.option(
        "--require-par/--no-require-par",
        "require_pushed",
        default=None,
        help="Whether every client has to push its authorization requests (RFC 9126). Default: no.",
    ),
    click.option(
        "--key-rotation",
        metavar="DAYS|never",
        callback=days_or_never,
        help="How many days a key signs before the next one takes over. Default: 90.",
    ),
    click.option(
        "--scope-claim",
        "scope_claims",
        nargs=2,
        metavar="SCOPE CLAIM=SOURCE",
        multiple=True,
        callback=scope_claims,
        help="A claim that a scope of the tenant's own releases; may be repeated. Replaces all from before. SOURCE is "
        f"one of {', '.join(SOURCES)}, or const: and a text. Default: none.",
    ),
    click.option("--no-scope-claims", is_flag=True, help="No scope of the tenant's own releases claims."),
)


def provider_options(function: Function) -> Function:
    """Give a command these options. It gets them as keyword arguments for ``provider_changes``."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    made: Function = decorated
    return made


def provider_changes(
    *,
    registration: bool | None,
    registered_clients: int | None,
    require_pushed: bool | None,
    key_rotation: timedelta | str | None,
    scope_claims: ScopeClaims,
    no_scope_claims: bool,
) -> dict[str, Any]:
    """What was named, by the names of ``ProviderPolicy``.

    Raises:
        UsageError: claims are set and taken away at once.
    """
    if scope_claims and no_scope_claims:
        raise click.UsageError("--scope-claim and --no-scope-claims cannot both be meant")
    named = {
        "registration": registration,
        "registered_clients": registered_clients,
        "require_pushed": require_pushed,
        "key_rotation": key_rotation,
        "scope_claims": () if no_scope_claims else scope_claims or None,
    }
    return {name: None if value == NEVER else value for name, value in named.items() if value is not None}


def provider_fields(policy: ProviderPolicy) -> dict[str, object]:
    """As it is printed."""
    return {
        "registration": policy.registration,
        "registered_clients": policy.registered_clients,
        "require_par": policy.require_pushed,
        "key_rotation": NEVER if policy.key_rotation is None else f"{policy.key_rotation.days}d",
        "scope_claims": [
            f"{scope} {claim}={source}" for scope, claims in policy.scope_claims for claim, source in claims
        ],
    }

"""What ``yett tenant configure`` sets of detections, and how it is printed."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gateway.cli.option_values import DEFAULT, OFF, named_rules
from policies.detection import DEFAULTS, KINDS, Kind
from policies.sightings import Rule
from tenants.detection_policy import DetectionPolicy

Function = TypeVar("Function", bound=Callable[..., Any])
Spell = Callable[..., str]


def detection_option(spelled: Spell) -> Callable[[Function], Function]:
    """Give a command the option. It gets ``detections``, for ``DetectionPolicy.changed``; ``spelled`` writes a
    duration.
    """
    defaults = ", ".join(f"{kind} {_written(DEFAULTS[kind], spelled)}" for kind in KINDS)
    return click.option(
        "--detection",
        "detections",
        metavar="KIND=N/DURATION|off|default",
        multiple=True,
        callback=_parsed,
        help="From how many within which time something is told in the audit log, as in new_device=3/1d; may be "
        f"repeated. The kinds and their defaults: {defaults}.",
    )


def detection_fields(policy: DetectionPolicy, spelled: Spell) -> dict[str, object]:
    """As it is printed."""
    return {"detections": [f"{kind}={_written(policy.rule_for(kind), spelled)}" for kind in KINDS]}


def _parsed(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> dict[Kind, Rule | None]:
    named = named_rules(KINDS, "a detection")(context, parameter, given)
    found: dict[Kind, Rule | None] = {}
    for kind in KINDS:
        if kind in named:
            rule = named[kind]
            found[kind] = DEFAULTS[kind] if rule == DEFAULT else None if isinstance(rule, str) else Rule(*rule)
    return found


def _written(rule: Rule | None, spelled: Spell) -> str:
    return OFF if rule is None else f"{rule.threshold}/{spelled(rule.window)}"

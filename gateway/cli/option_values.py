"""Values of options that are more than one word to click: durations, ``NAME=VALUE``, and ``default`` for either.

What is malformed is a usage error, told before anything is opened.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

import click

from gateway.settings.units import duration

DEFAULT = "default"
"""Takes back what was set. A file of that name is written ``./default``."""

NEVER = "never"
OFF = "off"
STDIN = "-"
_WHOLE = re.compile(r"[0-9]{1,9}")

Files = Mapping[str, str | None]
Durations = Mapping[str, timedelta | None]
Rules = Mapping[str, tuple[int, timedelta] | str]
Claims = tuple[tuple[str, str], ...]
ScopeClaims = tuple[tuple[str, Claims], ...]


def one_duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    """A duration in whole seconds."""
    return None if text is None else _duration(text)


def duration_or_never(_: click.Context, __: click.Parameter, text: str) -> timedelta | None:
    """A duration in whole seconds; None for ``never``, which has to be said."""
    return None if text == NEVER else _duration(text)


def whole_number(_: click.Context, __: click.Parameter, text: str | None) -> int | str | None:
    """A number, or ``default``."""
    if text is None or text == DEFAULT:
        return text
    if _WHOLE.fullmatch(text) is None:
        raise click.BadParameter(f"{text!r} is neither a whole number nor {DEFAULT!r}")
    return int(text)


def named_files(known: Collection[str], what: str) -> Callable[[click.Context, click.Parameter, Sequence[str]], Files]:
    """The file that each name is to be read from, ``-`` for standard input; None where it is ``default``."""

    def parse(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Files:
        named = _named(given, known, what)
        if list(named.values()).count(STDIN) > 1:
            raise click.BadParameter("standard input can be read once only")
        return {name: None if file == DEFAULT else file for name, file in named.items()}

    return parse


def named_durations(
    known: Collection[str], what: str
) -> Callable[[click.Context, click.Parameter, Sequence[str]], Durations]:
    """How long each name is to last; None where it is ``default``."""

    def parse(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Durations:
        named = _named(given, known, what)
        return {name: None if text == DEFAULT else _duration(text) for name, text in named.items()}

    return parse


def named_rules(known: Collection[str], what: str) -> Callable[[click.Context, click.Parameter, Sequence[str]], Rules]:
    """How many within which time, by name; or ``off``, or ``default``."""

    def parse(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Rules:
        named = _named(given, known, what)
        return {name: text if text in (OFF, DEFAULT) else _rule(text) for name, text in named.items()}

    return parse


def claim_sources(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Claims:
    """A claim and its source, each of them as the store checks it."""
    found: dict[str, str] = {}
    for entry in given:
        claim, source = _claim_and_source(entry)
        if claim in found:
            raise click.BadParameter(f"{claim} stands there twice")
        found[claim] = source
    return tuple(sorted(found.items()))


def scope_claims(_: click.Context, __: click.Parameter, given: Sequence[tuple[str, str]]) -> ScopeClaims:
    """The claims that each scope releases."""
    found: dict[str, dict[str, str]] = {}
    for scope, entry in given:
        claim, source = _claim_and_source(entry)
        if claim in found.setdefault(scope, {}):
            raise click.BadParameter(f"{claim} stands there twice for {scope}")
        found[scope][claim] = source
    return tuple((scope, tuple(sorted(claims.items()))) for scope, claims in sorted(found.items()))


def days_or_never(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | str | None:
    """A number of days, or ``never``."""
    if text is None or text == NEVER:
        return text
    if _WHOLE.fullmatch(text) is None:
        raise click.BadParameter(f"{text!r} is neither a whole number of days nor {NEVER!r}")
    return timedelta(days=int(text))


def _claim_and_source(entry: str) -> tuple[str, str]:
    claim, _, source = entry.partition("=")
    if not claim or not source:
        raise click.BadParameter(f"{entry!r} is not a claim and its source, as in department=const:Sales")
    return claim, source


def _named(given: Sequence[str], known: Collection[str], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in given:
        name, _, value = entry.partition("=")
        if name not in known:
            raise click.BadParameter(f"{name!r} is not {what}: one of {', '.join(sorted(known))}")
        if not value:
            raise click.BadParameter(f"{name} needs a value, as in {name}={DEFAULT}")
        if name in found:
            raise click.BadParameter(f"{name} stands there twice")
        found[name] = value
    return found


def _rule(text: str) -> tuple[int, timedelta]:
    number, _, window = text.partition("/")
    if _WHOLE.fullmatch(number) is None or not window:
        raise click.BadParameter(f"{text!r} is not so many within a time, as in 20/10m, nor {OFF!r} or {DEFAULT!r}")
    return int(number), _duration(window)


def _duration(text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from error
    if found.microseconds:
        raise click.BadParameter(f"{text!r} is not in whole seconds")
    return found

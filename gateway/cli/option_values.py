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

STDIN = "-"
_WHOLE = re.compile(r"[0-9]{1,9}")

Files = Mapping[str, str | None]
Durations = Mapping[str, timedelta | None]


def one_duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    """A duration in whole seconds."""
    return None if text is None else _duration(text)


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


def _duration(text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from error
    if found.microseconds:
        raise click.BadParameter(f"{text!r} is not in whole seconds")
    return found

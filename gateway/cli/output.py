"""Printing: tables for people, JSON for scripts, the same facts in both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's result goes. Nothing but results reaches standard output."""

    as_json: bool

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Many things: one line each, or a JSON array of objects with all of their fields."""
        if self.as_json:
            click.echo(_json([_plain(row) for row in rows]))
            return
        cells = [
            [column.upper() for column in columns],
            *([_text(row.get(column)) for column in columns] for row in rows),
        ]
        widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
        for line in cells:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def item(self, fields: Mapping[str, Any]) -> None:
        """One thing: a line a field, or a JSON object."""
        if self.as_json:
            click.echo(_json(_plain(fields)))
            return
        width = max(len(name) for name in fields)
        for name, value in fields.items():
            click.echo(f"{name.ljust(width)}  {_text(value)}".rstrip())

    def say(self, sentence: str, **fields: Any) -> None:
        """What was done: a sentence, or its facts."""
        click.echo(_json(_plain(fields)) if self.as_json else sentence)


def _json(plain: Any) -> str:
    """Readable where it can be: what a stranger put into it neither drives a terminal nor fails to be printed."""
    text = json.dumps(plain, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(plain)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value.value if isinstance(value, Enum) else value
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set() | frozenset():
            return sorted(_plain(item) for item in value)
    return str(value)


def _text(value: Any) -> str:
    """One line, whatever a stranger put into it: controls would rewrite the operator's terminal."""
    match _plain(value):
        case None:
            return "-"
        case bool() as truth:
            return "yes" if truth else "no"
        case list() as items:
            return " ".join(map(str, items)) or "-"
        case plain:
            return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(plain))

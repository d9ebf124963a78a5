"""The YAML file: from bytes to plain values, and the line that each of them stands on. Knows no field.

The dialect is YAML 1.2's core schema without its surprises: ``on``, ``yes`` and ``off`` are text, a key is always text,
duplicate keys, anchors, aliases and tags are refused, and size and depth are bounded.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from gateway.settings.problem import ConfigError, Path, Problem, dotted

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40

# libyaml is ten times as fast and reads the same language; the pure parser serves where the wheel lacks it.
_Parser: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says. ``lines`` has every path of ``values``; a mapping's entry stands on the line of its key.

    ``problems`` are those that reading could go on after; they are reported beside those of the fields.
    """

    name: str
    values: dict[str, Any]
    lines: dict[Path, int]
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read: ``key`` is the entry whose value comes next (None: a key comes next)."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None
    refused_key: bool = False


@dataclass(slots=True)
class _Builder:
    name: str
    lines: dict[Path, int] = field(default_factory=lambda: {(): 1})
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    root: Any = None

    def refuse(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(self.name, line, dotted(path), message))

    def feed(self, event: yaml.Event) -> None:
        line = _line(event.start_mark)
        match event:
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.stack.pop()
            case yaml.AliasEvent():
                if self._wants_key():
                    raise _Unreadable(line, "a key must be text")
                self.refuse(line, self._here(), f"alias *{event.anchor}: write the value out, aliases are not read")
                self._place(None, line)
            case yaml.ScalarEvent():
                self._check(event, line)
                if self._wants_key():
                    self._key(event.value, line)
                else:
                    plain = event.style is None or event.style == ""
                    self._place(_resolve(event.value) if plain else event.value, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check(event, line)
                value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
                if self._wants_key():
                    raise _Unreadable(line, "a key must be text")
                path = self._place(value, line)
                if len(self.stack) >= MAX_DEPTH:
                    raise _Unreadable(line, f"nested deeper than {MAX_DEPTH} levels")
                self.stack.append(_Open(path, value))

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def _check(self, event: Any, line: int) -> None:
        if event.anchor is not None:
            self.refuse(line, self._here(), f"anchor &{event.anchor}: anchors are not read")
        if event.tag is not None:
            self.refuse(line, self._here(), f"tag {event.tag}: tags are not read")

    def _here(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        return top.path if top.key is None else (*top.path, top.key)

    def _key(self, key: str, line: int) -> None:
        top = self.stack[-1]
        top.key = key
        path = (*top.path, key)
        if key in top.value:
            self.refuse(line, path, f"stands here a second time (first on line {self.lines[path]})")
            top.refused_key = True
            return
        self.lines[path] = line

    def _place(self, value: Any, line: int) -> Path:
        if not self.stack:
            self.root = value
            return ()
        top = self.stack[-1]
        path = self._here()
        if isinstance(top.value, list):
            top.value.append(value)
            self.lines[path] = line
            return path
        # The first of two equal keys is kept, so that the rest of the file is still checked.
        if not top.refused_key and top.key is not None:
            top.value[top.key] = value
        top.key, top.refused_key = None, False
        return path


class _Unreadable(Exception):
    """Reading cannot go on past this line."""

    def __init__(self, line: int | None, message: str) -> None:
        self.line, self.message = line, message
        super().__init__(message)


def _line(mark: Any) -> int:
    """Counted from 1; libyaml and the pure parser have a mark class each."""
    return int(mark.line) + 1


def _resolve(text: str) -> Any:
    """A plain (unquoted) scalar by YAML 1.2's core schema; whatever is not null, boolean or number is text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _Unreadable(None, f"is larger than {MAX_BYTES // (1024 * 1024)} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(raw.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
    odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        raise _Unreadable(line, f"holds the control character U+{ord(odd.group()):04X}")
    return text


def parse(raw: bytes, name: str) -> ConfigFile:
    """The file's bytes, read. An empty file is an empty mapping. Raises ``ConfigError`` where reading had to stop."""
    builder = _Builder(name)
    try:
        documents = 0
        for event in yaml.parse(_text(raw), Loader=_Parser):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise _Unreadable(_line(event.start_mark), "a second document begins here; one file is one document")
            builder.feed(event)
        if builder.root is not None and not isinstance(builder.root, dict):
            raise _Unreadable(1, "must be a mapping of settings (`name: value` lines)")
    except _Unreadable as error:
        raise ConfigError([*builder.problems, Problem(name, error.line, "", error.message)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else _line(mark)
        said = ": ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([*builder.problems, Problem(name, line, "", f"is not YAML: {said}")]) from error
    return ConfigFile(name, builder.root or {}, builder.lines, tuple(builder.problems))


def read(path: FilePath) -> ConfigFile:
    """The file at this path. Raises ``ConfigError`` where it is missing, unreadable or no configuration."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([Problem(str(path), None, "", f"cannot be read: {error.strerror or error}")]) from error
    return parse(raw, str(path))

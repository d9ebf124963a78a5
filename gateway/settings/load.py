"""From file and environment to ``Settings``, with every problem at once and the place of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.settings import checks, config_file, environment
from gateway.settings.compile import route_findings
from gateway.settings.cors import RouteCors
from gateway.settings.front_checks import front_findings
from gateway.settings.listening import Certificate
from gateway.settings.model import Settings
from gateway.settings.otlp_checks import otlp_findings
from gateway.settings.problem import ConfigError, Path, Problem, dotted
from gateway.settings.route_limit import Limit
from gateway.settings.routing import Match, Requirement, Route, RouteAccessLog
from gateway.settings.sink import TAGS
from gateway.settings.sink_checks import sink_findings
from gateway.settings.upstream import Health, Target, Tls, Upstream
from gateway.settings.upstream_checks import upstream_findings

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text (quote it if it looks like a number)",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "must not be empty",
}
_BRACKETED = {"[key]", "[one]", "[several]", *TAGS}
# Stands in where public_url itself was refused, so that the rest can still be read; no check reads it then.
_NOWHERE = "https://refused.invalid"


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each path of the merged document was written: a line of the file, or a variable."""

    name: str
    lines: Mapping[Path, int]
    variables: Mapping[Path, tuple[str, Path]]

    def problem(self, path: Path, message: str) -> Problem:
        for length in range(len(path), -1, -1):
            at = path[:length]
            if at in self.variables:
                name, own = self.variables[at]
                below = dotted(path[len(own) :])
                return Problem("environment", None, f"{name} ({below})" if below else name, message)
            if at and at in self.lines:
                return Problem(self.name, self.lines[at], dotted(path), message)
        return Problem(self.name, self.lines.get(()), dotted(path), message)


def load(path: FilePath | None, environ: Mapping[str, str]) -> Settings:
    """The settings of this file (None: no file) and this environment, which wins. Raises ``ConfigError``."""
    try:
        file = config_file.ConfigFile("environment", {}, {}) if path is None else config_file.read(path)
    except ConfigError as error:
        # The file cannot be read, but what the environment gets wrong is known all the same.
        raise ConfigError([*error.problems, *environment.read(environ, Settings).problems]) from error
    return _settings(file, environment.read(environ, Settings))


def from_mapping(values: Mapping[str, Any], environ: Mapping[str, str] | None = None, *, source: str) -> Settings:
    """The same for settings that a program writes, in the file's own notation. ``source`` names them in problems."""
    file = config_file.ConfigFile(source, dict(values), {})
    return _settings(file, environment.read(environ or {}, Settings))


def problems_of(settings: Settings, *, source: str, because: str) -> list[Problem]:
    """What does not fit together in settings that were not loaded as they are; ``because`` says why they are so."""
    routes = tuple(enumerate(settings.routes))
    facts = checks.Facts(settings, routes, frozenset(settings.upstreams), frozenset())
    found = [*checks.findings(facts), *front_findings(facts), *route_findings(facts)]
    return [Problem(source, None, dotted(path), f"{message} ({because})") for path, message in found]


def _settings(file: config_file.ConfigFile, env: environment.Environment) -> Settings:
    places = _Places(file.name, file.lines, env.names)
    document = _merged(file.values, env.values)
    empty = list(_empty(document, ()))
    # An alias or a tag that was refused leaves no value either, and was reported as what it is.
    told = {problem.field for problem in file.problems}
    problems = [*file.problems, *env.problems]
    problems += [places.problem(path, "has no value") for path in empty if dotted(path) not in told]
    document = _without(document, empty, ())

    failed: list[ErrorDetails] = []
    settings: Settings | None = None
    try:
        settings = Settings(**document)
    except ValidationError as error:
        # The second of these says only that a default could not be derived from a field that was refused itself.
        errors = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
        # A list is not too short because its entries were refused.
        failed = [e for e in errors if e["type"] != "too_short" or not any(_below(_loc(o), _loc(e)) for o in errors)]
    # A field that stands there without a value was reported; that it is then missing is no second problem.
    problems += [places.problem(_loc(e), _message(e)) for e in failed if _loc(e) not in empty]

    facts = _facts(settings, document, [*map(_loc, failed), *empty])
    problems += [places.problem(path, message) for path, message in checks.findings(facts)]
    problems += [places.problem(path, message) for path, message in upstream_findings(facts)]
    problems += [places.problem(path, message) for path, message in front_findings(facts)]
    problems += [places.problem(path, message) for path, message in route_findings(facts)]
    found = *sink_findings(facts), *otlp_findings(facts)
    problems += [places.problem(path, message) for path, message in found]
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


def _facts(settings: Settings | None, document: dict[str, Any], failed: list[Path]) -> checks.Facts:
    """What can be read once everything that was refused is left out: single routes and upstreams, else whole fields."""
    written = document.get("routes")
    count = len(written) if isinstance(written, list) else 0
    named = document.get("upstreams")
    upstreams = frozenset(named) if isinstance(named, dict) else frozenset()
    lost_routes = {path[1] for path in failed if len(path) > 1 and path[0] == "routes"}
    lost_upstreams = {path[1] for path in failed if len(path) > 1 and path[0] == "upstreams"}
    refused = {str(path[0]) for path in failed if path and not (len(path) > 1 and path[0] in ("routes", "upstreams"))}
    left = [index for index in range(count) if index not in lost_routes]
    if settings is None:
        kept = {key: value for key, value in document.items() if key in Settings.model_fields and key not in refused}
        if "routes" in kept:
            kept["routes"] = [written[index] for index in left] if isinstance(written, list) else []
        if "upstreams" in kept:
            kept["upstreams"] = {key: value for key, value in kept["upstreams"].items() if key not in lost_upstreams}
        kept.setdefault("public_url", _NOWHERE)
        settings = Settings(**kept)
    return checks.Facts(settings, tuple(zip(left, settings.routes, strict=False)), upstreams, frozenset(refused))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _children(value: object) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _empty(value: object, path: Path) -> Iterator[Path]:
    """``require:`` with nothing behind it is a mistake, not a wish for the default."""
    for key, child in _children(value):
        if child is None:
            yield (*path, key)
        else:
            yield from _empty(child, (*path, key))


def _without(value: Any, dropped: list[Path], path: Path) -> Any:
    if not dropped:
        return value
    if isinstance(value, dict):
        return {k: _without(v, dropped, (*path, k)) for k, v in value.items() if (*path, k) not in dropped}
    if isinstance(value, list):
        # Positions stay what they are in the file; an entry without a value is refused where it stands.
        return [_without(v, dropped, (*path, i)) for i, v in enumerate(value)]
    return value


def _below(path: Path, above: Path) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _loc(error: ErrorDetails) -> Path:
    """The path as the file writes it: pydantic adds ``[key]`` after a mapping's refused key, and tags in brackets."""
    return tuple(part for part in error["loc"] if part not in _BRACKETED)


def _message(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(str(error["loc"][-1]), error["loc"])
    if kind in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        return f"must be one of {error['ctx']['expected']}".replace("'", "")
    return _SENTENCES.get(kind, error["msg"])


def _unknown(key: str, loc: tuple[str | int, ...]) -> str:
    close = get_close_matches(key, _keys_beside(loc), n=1)
    return f"is not known; is {close[0]} meant?" if close else "is not known to this release"


def _keys_beside(loc: tuple[str | int, ...]) -> list[str]:
    """The keys that this release knows in the mapping where an unknown one stands."""
    model: type[BaseModel] = Settings
    match loc:
        case ("upstreams", _, "targets", _, _):
            model = Target
        case ("upstreams", _, "health", _):
            model = Health
        case ("upstreams", _, "tls", _):
            model = Tls
        case ("upstreams", _, _):
            model = Upstream
        case ("tls" | "management_tls", "certificates", _, _):
            model = Certificate
        case ("sinks", _, str(kind), _):
            model = TAGS[kind]
        case ("routes", _, "match", _):
            model = Match
        case ("routes", _, "require", *_, _):
            model = Requirement
        case ("routes", _, "access_log", _):
            model = RouteAccessLog
        case ("routes", _, "limit", *_, _):
            model = Limit
        case ("routes", _, "cors", _):
            model = RouteCors
        case ("routes", _, _):
            model = Route
        case (section, _) if isinstance(section, str) and section in Settings.model_fields:
            annotation = Settings.model_fields[section].annotation
            model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else Settings
    return [field.alias or name for name, field in model.model_fields.items()]

"""Settings from the environment: ``YETT_…`` through pydantic-settings, and the file that a ``…_FILE`` names.

The environment is an argument, never ``os.environ`` itself. ``YETT_HASHING__MEMORY`` is ``hashing.memory``; lists are
JSON or separated by commas. An unknown ``YETT_…`` is a problem, since a misspelt setting would silently be the default.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from gateway.settings.problem import Path, Problem

PREFIX = "YETT_"
_SEPARATOR = "__"
_MAX_SECRET_FILE = 64 * 1024

# Kubernetes puts these beside every container of a namespace with a service that is called yett or yett-…
_SERVICE_LINK = re.compile(
    r"YETT_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_SERVICE_URL = re.compile(r"YETT_([A-Z0-9_]+_)?PORT")
_SERVICE_URL_VALUE = re.compile(r"(tcp|udp|sctp)://.+")
# Read by the command line and by the tests, not by a gateway.
_NOT_SETTINGS = frozenset({"YETT_CONFIG"})
_NOT_SETTINGS_PREFIX = "YETT_TEST_"


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says: ``names`` has the variable that each path came from, and the variable's own path."""

    values: dict[str, Any]
    names: dict[Path, tuple[str, Path]]
    problems: tuple[Problem, ...]


class _Source(EnvSettingsSource):
    """pydantic-settings' own reader over a mapping that is given to it."""

    def __init__(self, model: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(model)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ARG002 - its hook
        """JSON where it is JSON; commas separate a list; what is neither stays text, for its field to judge."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                return value
        if field is not None and get_origin(field.annotation) is tuple:
            return [part.strip() for part in value.split(",") if part.strip()]
        return value


def _secrets(model: type[BaseSettings]) -> dict[str, str]:
    """Each ``…_FILE`` variable and the variable that it fills."""
    names = [name for name, field in model.model_fields.items() if _is_secret(field)]
    return {f"{PREFIX}{name.upper()}_FILE": f"{PREFIX}{name.upper()}" for name in names}


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *map(_plain, get_args(field.annotation)))


def _plain(annotation: Any) -> Any:
    """``Annotated[T, …]`` as ``T``."""
    return getattr(annotation, "__origin__", annotation)


def _read_secret(path: str) -> str:
    """The file's text without its last line end. Raises ``ValueError`` with a sentence."""
    try:
        with FilePath(path).open("rb") as file:
            raw = file.read(_MAX_SECRET_FILE + 1)
    except OSError as error:
        raise ValueError(f"the file it names cannot be read: {error.strerror or error}") from error
    if len(raw) > _MAX_SECRET_FILE:
        raise ValueError(f"the file it names is larger than {_MAX_SECRET_FILE // 1024} KiB")
    try:
        text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # Not chained: the error's own text would quote the secret.
        raise ValueError("the file it names is not UTF-8") from None
    if not text:
        raise ValueError("the file it names is empty")
    return text


def _is_ours(name: str, value: str) -> bool:
    if not name.startswith(PREFIX) or name in _NOT_SETTINGS or name.startswith(_NOT_SETTINGS_PREFIX):
        return False
    # YETT_LISTEN_PORT=80 is somebody's mistake, YETT_LISTEN_PORT=tcp://… a service that is called yett-listen.
    is_url = _SERVICE_URL.fullmatch(name) and _SERVICE_URL_VALUE.fullmatch(value)
    return not is_url and not _SERVICE_LINK.fullmatch(name)


def _leaves(values: Any, path: Path) -> list[Path]:
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [path, *(leaf for key, value in pairs for leaf in _leaves(value, (*path, key)))]


def read(environ: Mapping[str, str], model: type[BaseSettings]) -> Environment:
    """What ``environ`` sets of ``model``. Empty variables count as unset (a chart's and a compose file's habit)."""
    ours = {name: value for name, value in environ.items() if value and _is_ours(name, value)}
    said_as = {name: name for name in ours}
    problems: list[Problem] = []

    def refuse(name: str, message: str) -> None:
        problems.append(Problem("environment", None, name, message))

    def rename(old: str, new: str, value: str) -> None:
        if new in ours:
            refuse(old, f"is set beside {new}; one of them must go")
        else:
            ours[new], said_as[new] = value, old

    if "YETT_DATA" in ours:
        rename("YETT_DATA", f"{PREFIX}DATA_DIR", ours.pop("YETT_DATA"))
    for file_name, name in _secrets(model).items():
        if file_name in ours:
            try:
                rename(file_name, name, _read_secret(ours.pop(file_name)))
            except ValueError as error:
                refuse(file_name, str(error))

    for name in [n for n in ours if n.removeprefix(PREFIX).lower().split(_SEPARATOR)[0] not in model.model_fields]:
        refuse(name, "is no setting of this release")
        del ours[name]

    values = _Source(model, ours)()
    names: dict[Path, tuple[str, Path]] = {}
    for name in sorted(ours, key=len):
        path: Path = tuple(name.removeprefix(PREFIX).lower().split(_SEPARATOR))
        value: Any = values
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        names.update(dict.fromkeys(_leaves(value, path), (said_as[name], path)))
    return Environment(values, names, tuple(problems))

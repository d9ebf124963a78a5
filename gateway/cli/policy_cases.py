"""The file of ``yett policy test``: requests, and what is to be decided about each. YAML or JSON, checked whole."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.proxy.rehearsal import Facts
from gateway.proxy.verdict import Verdict
from gateway.rehearsing.expected import Expected
from gateway.rehearsing.facts import Caller, moment, request_facts, source
from gateway.settings import ConfigError, Problem, is_slug
from gateway.settings.config_file import ConfigFile, read
from gateway.settings.problem import Path, dotted
from gateway.settings.routing import Word
from gateway.settings.section import Section
from gateway.settings.units import Duration, Flag

Decides = Literal["allow", "challenge", "deny", "refuse", "answer"]


def _slug(text: str) -> str:
    if is_slug(text):
        return text
    raise ValueError("must be a tenant's slug")


def _address(value: object) -> IPv4Address | IPv6Address:
    if isinstance(value, str):
        return source(value)
    raise ValueError("must be an address")


def _request(text: str) -> str:
    method, space, url = text.partition(" ")
    if not space:
        raise ValueError("must be a method and a URL, as GET https://api.example.com/orders/7")
    request_facts(method, url, address=source(None), at=0)
    return text


def _moment(value: object) -> float:
    if isinstance(value, str):
        return moment(value)
    raise ValueError("must be a time, as 2026-11-30T12:00:00Z")


class Token(Section):
    """Who asks, as facts; or why the token does not count."""

    tenant: Annotated[str, AfterValidator(_slug)] | None = None
    subject: str = "somebody"
    client: str = "some-client"
    scopes: tuple[Word, ...] = ()
    audience: tuple[str, ...] | None = None
    acr: str | None = None
    amr: tuple[Word, ...] = ()
    auth_age: Duration | None = None
    claims: dict[str, Any] = Field(default_factory=dict)
    api_key: Flag = False
    refused: str | None = None


class Would(Section):
    """What a route in shadow would have done."""

    expect: Decides
    reason: str | None = None


class Case(Section):
    """``at`` None: at any time. What of ``reason``, ``route`` and ``would`` is left out may be anything."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)

    name: str
    request: Annotated[str, AfterValidator(_request)]
    token: Token | None = None
    source_ip: Annotated[IPv4Address | IPv6Address, BeforeValidator(_address)] = Field(
        default_factory=lambda: source(None)
    )
    at: Annotated[float, BeforeValidator(_moment)] | None = None
    expect: Decides
    reason: str | None = None
    route: str | None = None
    would: Would | None = None

    def facts(self, now: float, audiences: Iterable[str]) -> Facts:
        """The request of this case; ``audiences`` are those of the configuration."""
        at = now if self.at is None else self.at
        method, _, url = self.request.partition(" ")
        found = request_facts(method, url, address=self.source_ip, at=at)
        token = self.token
        if token is None:
            return found
        if token.refused is not None:
            return replace(found, token_refused=token.refused)
        return replace(found, principal=_caller(token).principal(at, audiences))

    def fails(self, found: Verdict) -> list[str]:
        """What is not as it was expected, a sentence each."""
        would = self.would
        expected = Expected(
            decision=self.expect,
            reason=self.reason,
            route=self.route,
            would=None if would is None else would.expect,
            would_reason=None if would is None else would.reason,
        )
        return expected.fails(found)


_CASES: TypeAdapter[list[Case]] = TypeAdapter(Annotated[list[Case], Field(min_length=1)])


def cases(path: FilePath) -> list[Case]:
    """Those of the file.

    Raises:
        ConfigError: with every problem of it, each with its line.
    """
    file = read(path)
    problems = list(file.problems)
    if set(file.values) - {"cases"} or "cases" not in file.values:
        problems.append(Problem(file.name, 1, "", "must have the key `cases` and no other"))
        raise ConfigError(problems)
    try:
        found = _CASES.validate_python(file.values["cases"])
    except ValidationError as error:
        problems += [_problem(file, ("cases", *entry["loc"]), entry) for entry in error.errors()]
        raise ConfigError(problems) from error
    for index, case in enumerate(found):
        token = case.token
        if token is not None and (token.tenant is None) == (token.refused is None):
            path_of = ("cases", index, "token")
            problems.append(
                Problem(file.name, _line(file, path_of), dotted(path_of), "needs `tenant`, or `refused` alone")
            )
    if problems:
        raise ConfigError(problems)
    return found


def _caller(token: Token) -> Caller:
    age: timedelta | None = token.auth_age
    return Caller(
        tenant=token.tenant or "",
        subject=token.subject,
        client=token.client,
        scopes=token.scopes,
        audiences=token.audience,
        acr=token.acr,
        amr=token.amr,
        auth_age=None if age is None else int(age.total_seconds()),
        claims=token.claims,
        api_key=token.api_key,
    )


def _problem(file: ConfigFile, path: Path, entry: Mapping[str, Any]) -> Problem:
    message = {"missing": "is required", "extra_forbidden": "is not known"}.get(entry["type"])
    if message is None:
        message = str(entry["ctx"]["error"]) if entry["type"] == "value_error" else entry["msg"]
    return Problem(file.name, _line(file, path), dotted(path), message)


def _line(file: ConfigFile, path: Path) -> int | None:
    return next((file.lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in file.lines), 1)

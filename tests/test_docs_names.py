"""Pages name what there is: every setting, every event of the log, commands, files and decisions that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from gateway.cli.main import main
from gateway.settings.access_log import AccessLog
from gateway.settings.cors import Cors
from gateway.settings.listening import Certificate, ListenLimits, ListenTls, ManagementTls
from gateway.settings.mail import Mail
from gateway.settings.model import BrowserSessions, ForwardAuth, Hashing, Limits, Log, Settings
from gateway.settings.otlp import Otlp
from gateway.settings.routing import Match, Requirement, Route
from gateway.settings.sink import KINDS
from gateway.settings.upstream import Health, Target, Tls, Upstream

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SECTIONS: dict[str, type[BaseModel]] = {
    "`forward_auth`": ForwardAuth,
    "`tls`": ListenTls,
    "`management_tls`": ManagementTls,
    "`listen_limits`": ListenLimits,
    "`hashing`": Hashing,
    "`limits`": Limits,
    "`mail`": Mail,
    "`cors`": Cors,
    "`browser_sessions`": BrowserSessions,
    "`access_log`": AccessLog,
    "`otlp`": Otlp,
    "`log`": Log,
    "`upstreams`": Upstream,
    "A target": Target,
    "Health": Health,
    "TLS to targets": Tls,
}


def keys(model: type[BaseModel]) -> set[str]:
    """As the file writes them."""
    return {field.alias or name for name, field in model.model_fields.items()}


def rows(page: str, heading: str) -> set[str]:
    """What the first columns of the tables below a heading, and above the next one, name."""
    _, found, rest = (DOCS / page).read_text(encoding="utf-8").partition(f"# {heading}\n")
    assert found, f"{page} has no heading {heading}"
    part = re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    firsts = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("|")]
    return {name for first in firsts for name in re.findall(r"`([a-z_.]+)`", first)}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_of_a_section_is_documented_and_no_other(heading: str) -> None:
    assert rows("configuration.md", heading) - {"mail_password"} == keys(SECTIONS[heading])  # it is one of the process


def test_every_setting_of_the_process_is_documented_and_no_other() -> None:
    mappings = {heading.strip("`") for heading in SECTIONS if heading.startswith("`")}
    apart = rows("configuration.md", "`mail`") & {"mail_password"} | rows("configuration.md", "`sinks`") | {"routes"}
    assert rows("configuration.md", "Process") | mappings | apart == keys(Settings)


def test_every_setting_of_a_route_is_documented_and_no_other() -> None:
    match = {f"match.{key}" for key in keys(Match)}
    assert rows("configuration.md", "`routes`") == (keys(Route) - {"match"}) | match | keys(Requirement)


def test_every_setting_of_a_certificate_is_documented() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert {key for key in keys(Certificate) if f"`{key}`" not in page} == set()


def test_every_setting_of_a_sink_is_documented_and_no_other() -> None:
    told = rows("sinks.md", "Settings") - KINDS.keys()
    assert told == {key for kind in KINDS.values() for key in keys(kind)}


# -- what the log says ------------------------------------------------------------------------------------------------


def log_events() -> Iterator[tuple[str, Path]]:
    """What the service writes into its log at ``info`` and above: the literal names of events."""
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="_log" | "log"), attr="info" | "warning" | "error" | "exception"
                    ),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    yield event, path


def test_every_event_of_the_log_is_documented() -> None:
    page = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("operations.md", "sinks.md"))
    found = dict(log_events())
    assert len(found) > 40
    assert {event: path.name for event, path in found.items() if f"`{event}`" not in page} == {}


# -- commands that pages name -----------------------------------------------------------------------------------------


def named_commands(page: Path) -> Iterator[str]:
    """Lines of snippets, and spans of text, that begin with the program's name and are none of its own words."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for found in re.finditer(
        r"(?:`|^(?: *)(?:\$ )?(?:\.venv/bin/)?|&& )(yett (?!serves )[a-z][^`\n#|&>]*)", text, re.MULTILINE
    ):
        yield found[1]


def unknown_in(line: str, group: click.Command = main) -> str | None:
    """What there is not: a command, or an option of it."""
    words = line.split()[1:]
    while words and isinstance(group, click.Group):
        if words[0].startswith(("-", "…", "[")):
            return None
        if words[0] not in group.commands:
            return f"{line}: there is no {words[0]}"
        group = group.commands[words.pop(0)]
    if isinstance(group, click.Group):
        return None
    known = {name for parameter in group.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    options = [word for word in words if word.startswith("--")]
    return next((f"{line}: there is no {option}" for option in options if option.partition("=")[0] not in known), None)


PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "helm" / "README.md"]
FILE = re.compile(r"`((?:gateway|tenants|policies|tests|loadtests)/[\w./-]+)(?:::\w+)?`")


def test_every_command_that_a_page_names_exists_with_its_options() -> None:
    named = [(page, line) for page in PAGES for line in named_commands(page)]
    assert len(named) > 150
    assert [f"{page.name}: {wrong}" for page, line in named if (wrong := unknown_in(line))] == []


# -- files and decisions ----------------------------------------------------------------------------------------------


def test_every_file_that_a_page_names_is_there() -> None:
    named = [(page.name, path) for page in PAGES for path in FILE.findall(page.read_text(encoding="utf-8"))]
    assert len(named) > 100
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []


def test_every_decision_that_the_threat_model_names_is_there() -> None:
    decided = re.findall(r"^## (\d+)\. ", (ROOT / "DECISIONS.md").read_text(encoding="utf-8"), re.MULTILINE)
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    named = {number for pair in re.findall(r"\bD (\d+)(?: to (\d+))?", text) for number in pair if number}
    assert len(named) > 30
    assert named - set(decided) == set()


# -- figures ----------------------------------------------------------------------------------------------------------


def test_every_figure_of_the_comparison_is_one_of_the_benchmarks() -> None:
    figure = r"(?<![\w#.,-])\d[\d,]*\.?\d*\b(?![-.]?\w)"
    told = re.findall(figure, re.sub(r"\([^)]*\)", "", (DOCS / "comparison.md").read_text(encoding="utf-8")))
    measured = set(re.findall(figure, (DOCS / "benchmarks.md").read_text(encoding="utf-8")))
    assert len(told) > 20
    assert [each for each in told if each not in measured] == []

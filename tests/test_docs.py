"""The documents say what the product does: the command line's reference, the codes of every answer, the snippets."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

import click
import pytest

from gateway import errors
from gateway.admin.errors import AdminProblem
from gateway.admin.operations import OPERATIONS
from gateway.cli.main import main
from gateway.cli.options import Invocation, command
from gateway.oauth import errors as oauth_errors
from gateway.proxy import refusal
from gateway.server import fault
from gateway.sinks.ocsf_types import TYPES
from policies.administration import OPERATOR_ROLES, SCOPES, TENANT_ADMINISTRATOR, TENANT_ROLES
from policies.audit_file import Block, FiledEvent, Header, written
from policies.detection import KINDS
from policies.merkle import entry_hash, leaf_hash, root_of
from tenants.audit_event import Event, encode
from tenants.signed_note import SignerKey

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "helm").glob("*.md")])
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
EVENT_TYPE = re.compile(
    r"logout(?:\.[a-z]+)?|users\.import[a-z_]*"  # other words behind "users." are columns
    r"|(?:tenant|user|role|group|job|client|key|master_key|api_key|login|session|device|factor|recovery_codes|mail|token|audit"
    r"|authorization|consent|detection|config|throttle)\.(?!html|address)[a-z_]+"
)
OCSF_TABLE = ROOT / "gateway" / "sinks" / "ocsf_types.py"
OPERATIONS_BEGIN, OPERATIONS_END = "<!-- operations: begin -->", "<!-- operations: end -->"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# -- the command line ------------------------------------------------------------------------------------------------


@command(None)
async def plain(call: Invocation) -> None:
    """A command that has the shared options and no other."""


SHARED = {option.name: option for option in plain.params if isinstance(option, click.Option)}


def commands(group: click.Group = main, path: str = "yett") -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, by name."""
    for name, found in sorted(group.commands.items()):
        if isinstance(found, click.Group):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


def options_of(found: click.Command) -> list[click.Option]:
    return [parameter for parameter in found.params if isinstance(parameter, click.Option)]


def is_shared(option: click.Option) -> bool:
    known = SHARED.get(option.name)
    return known is not None and (known.opts, known.help) == (option.opts, option.help)


def row(option: click.Option) -> str:
    """A row of an option's table, in click's own words."""
    usage, meaning = option.get_help_record(click.Context(main)) or ("", "")
    meaning = " ".join(meaning.split()).replace("[required]", "Required.")
    usage, meaning = (text.replace("|", r"\|") for text in (usage, meaning))
    return f"| `{usage}` | {meaning} |"


def section(name: str, found: click.Command) -> str:
    """What the page says of one command."""
    arguments = [
        parameter.make_metavar(click.Context(found))
        for parameter in found.params
        if isinstance(parameter, click.Argument)
    ]
    told = (found.help or "").replace("\b", "")  # click's mark of lines that are not to be joined
    lines = [f"### `{' '.join([name, *arguments])}`", "", " ".join(told.split()), ""]
    own = [option for option in options_of(found) if not is_shared(option)]
    if own:
        lines += ["| option | meaning |", "|---|---|", *map(row, own), ""]
    return "\n".join(lines)


def with_reference(page: str) -> str:
    """The page with its generated part made anew."""
    before, _, rest = page.partition(BEGIN)
    reference = "\n".join(section(name, found) for name, found in commands())
    return f"{before}{BEGIN}\n\n{reference}\n{END}{rest.partition(END)[2]}"


def test_the_command_lines_page_is_what_help_says() -> None:
    page = text_of(DOCS / "cli.md")
    assert BEGIN in page
    assert page == with_reference(page), "docs/cli.md is stale: `python -m tests.test_docs` writes it anew"


def test_every_command_and_option_explains_itself() -> None:
    for name, found in commands():
        assert found.help, f"{name} has no help"
        silent = [option.opts for option in options_of(found) if not option.help]
        assert not silent, f"{name}: {silent} have no help"


def test_shared_options_are_described_once() -> None:
    page = text_of(DOCS / "cli.md").partition(BEGIN)[0]
    missing = [option.opts for option in SHARED.values() if f"`{option.opts[0]}" not in page]
    assert not missing


# -- the admin API ---------------------------------------------------------------------------------------------------


def with_operations(page: str) -> str:
    """The page with its table of operations made anew."""
    before, _, rest = page.partition(OPERATIONS_BEGIN)
    rows = [
        f"| `{each.method} {each.path}` | `{each.scope}` | {each.summary}{' (O)' if each.operators_only else ''} |"
        for each in OPERATIONS
    ]
    return f"{before}{OPERATIONS_BEGIN}\n" + "\n".join(rows) + f"\n{OPERATIONS_END}{rest.partition(OPERATIONS_END)[2]}"


def test_the_admin_apis_page_has_every_operation() -> None:
    page = text_of(DOCS / "admin-api.md")
    assert page == with_operations(page), "docs/admin-api.md is stale: `python -m tests.test_docs` writes it anew"


def test_the_admin_apis_page_says_who_has_which_scope() -> None:
    page = text_of(DOCS / "admin-api.md")
    told = re.findall(
        r"^\| `(yett:[a-z:-]+)` \| [^|]+ \| ([^|]*)\| ([^|]*)\| ([^|]*)\| ([^|]*)\| ([^|]*)\|$", page, re.MULTILINE
    )
    tenants = TENANT_ROLES[TENANT_ADMINISTRATOR]
    columns = [*(OPERATOR_ROLES[role] for role in ("owner", "admin", "support", "auditor")), tenants]
    assert {scope: [bool(cell.strip()) for cell in cells] for scope, *cells in told} == {
        scope: [scope in held for held in columns] for scope in SCOPES
    }


# -- codes and events ------------------------------------------------------------------------------------------------


assert oauth_errors  # its classes are among those that are found as subclasses


def codes_of(kind: type[errors.Refusal], *, but: type[errors.Refusal] | None = None) -> Iterator[tuple[int, str]]:
    for found in kind.__subclasses__():
        if found is not but:
            if found.code != errors.Problem.code:  # nobody is refused with a base class
                yield found.status, found.code
            yield from codes_of(found, but=but)


def plane_codes() -> set[tuple[int, str]]:
    named = [value for value in vars(refusal).values() if isinstance(value, refusal.Problem)]
    return {(problem.status, problem.code) for problem in (*named, *refusal.FAULTS.values())}


def server_codes() -> set[tuple[int, str]]:
    return {(value.status, value.code) for value in vars(fault).values() if isinstance(value, fault.Fault)}


def documented(heading: str) -> set[tuple[int, str]]:
    """The rows of a table of docs/errors.md."""
    _, found, rest = text_of(DOCS / "errors.md").partition(f"\n## {heading}\n")
    assert found, f"docs/errors.md has no heading {heading}"
    rows = re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \|", rest.partition("\n## ")[0], re.MULTILINE)
    return {(int(status), code) for status, code in rows}


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("OAuth errors", set(codes_of(errors.OAuthError))),
        ("Problems of the data plane", plane_codes()),
        ("Problems of identity and management", set(codes_of(errors.Problem, but=AdminProblem))),
        ("Problems of the admin API", set(codes_of(AdminProblem))),
        ("Problems of the HTTP server", server_codes()),
    ],
)
def test_every_code_is_documented_and_no_other(heading: str, codes: set[tuple[int, str]]) -> None:
    assert documented(heading) == codes


@cache
def event_types() -> frozenset[str]:
    """What the code names like the type of an audit event, and what is made of observations and detections."""
    shadow = {f"request.would_{decision}" for decision in ("challenge", "deny", "refuse")}
    found = shadow | {"request.refused", "request.allowed", "token.refused", "page.refused", "registration.refused"}
    found |= {f"detection.{kind}" for kind in KINDS}
    found.add("admin.refused")
    for package in ("gateway", "tenants"):
        for path in set((ROOT / package).rglob("*.py")) - {OCSF_TABLE}:
            for node in ast.walk(ast.parse(text_of(path))):
                match node:
                    case ast.Constant(value=str(value)) if EVENT_TYPE.fullmatch(value):
                        found.add(value)
    return frozenset(found)


def test_every_type_of_audit_event_is_documented_and_no_other() -> None:
    table = text_of(DOCS / "security-review.md").partition("\n### Types\n")[2].partition("\n### ")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for first in firsts for name in re.findall(r"`([a-z_.]+)`", first)} == event_types()


def test_every_type_of_audit_event_has_a_line_in_the_table_of_ocsf_and_no_other() -> None:
    assert TYPES.keys() - {"sink.test", "audit.checkpoint"} == event_types()


# -- pages and snippets ----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The names that headings have as link targets."""
    headings = HEADING.findall(FENCED.sub("", text_of(page)))
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(FENCED.sub("", text_of(page))):
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_snippets_are_python(page: Path) -> None:
    for snippet in SNIPPET.findall(text_of(page)):
        compile(snippet, page.name, "exec")


def test_the_fastapi_application_is_twelve_lines() -> None:
    (snippet,) = SNIPPET.findall(text_of(DOCS / "app-developers.md"))
    assert len(snippet.splitlines()) == 12


def exported(*, altered: bool) -> str:
    """An export of three events as ``yett audit export`` writes it, the last one erased; perhaps the second altered."""
    events, leaves = [], []
    for position, reason in enumerate(("unknown_user", "wrong_password", "user_disabled")):
        told = Event(type="login.refused", outcome="refused", reason=reason)
        event = encode(told, event_id=uuid4(), tenant_id=uuid4(), at=datetime.now(UTC))
        salt = bytes(range(position, position + 16))
        leaf = leaf_hash(entry_hash(salt, event))
        text = event.decode().replace("wrong_password", "unknown_user") if altered else event.decode()
        leaves.append(leaf)
        erased = position == 2
        events.append(FiledEvent(position, leaf, None if erased else salt, None if erased else text))
    header = Header("log", "acme", SignerKey.generate("auth.example.com/t/acme/audit").signed(3, root_of(leaves)))
    return "".join(written(part) + "\n" for part in (header, *events, Block(0, [])))


@pytest.mark.parametrize("altered", [False, True])
def test_the_verifying_snippet_finds_an_altered_event(altered: bool, tmp_path: Path) -> None:
    (snippet,) = SNIPPET.findall(text_of(DOCS / "security-review.md"))
    log = tmp_path / "log.jsonl"
    log.write_text(exported(altered=altered), encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", snippet, str(log)], capture_output=True, text=True, check=False)
    assert (run.returncode != 0) is altered, run.stderr
    assert ("line 3: not what was hashed" in run.stderr) is altered


if __name__ == "__main__":
    reference_page = DOCS / "cli.md"
    reference_page.write_text(with_reference(text_of(reference_page)), encoding="utf-8")
    operations_page = DOCS / "admin-api.md"
    operations_page.write_text(with_operations(text_of(operations_page)), encoding="utf-8")

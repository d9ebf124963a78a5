"""Every administrative command as a process: what it does, what it says to people and to scripts, and its exit code."""

import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from tests.e2e.command import script, yett
from tests.e2e.conftest import Copy
from tests.e2e.installation import AUDIENCE, Installation
from tests.e2e.server_process import PASSWORD

_ACME = ("--tenant", "acme")


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def _commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    for name, found in group.commands.items():
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from _commands(found, *path, name)


def _parameters(path: tuple[str, ...]) -> list[click.Parameter]:
    found: click.Command = main
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return [] if isinstance(found, click.Group) else found.params


COMMANDS = list(_commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert "Usage: main" in shown.output or "Usage: yett" in shown.output
    parameters = _parameters(path)
    if not parameters:  # a group
        return
    assert {"as_json", "data"} <= {parameter.name for parameter in parameters}
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.name in ("data",), parameter.name
            assert not re.search("password|secret", parameter.name or "") or parameter.is_flag, (
                "secrets are never arguments"
            )


def test_the_program_explains_its_exit_codes() -> None:
    shown = script("--help")
    assert shown.code == 0
    assert "Exit codes: 0 done · 1 refused · 2 usage · 3 configuration · 4 installation" in shown.out
    assert re.fullmatch(r"yett, version \d+\.\d+\.\d+\n", yett("--version").out)


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["tenant", "nothing"], ["tenant", "create"], ["user", "list"], ["audit", "list", "--limit", "0"]],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 2
    assert "Error: " in shown.output


def _refused(here: Installation, *arguments: str, says: str, stdin: str = "") -> None:
    """Exit code 1, a sentence for people or an object for scripts on standard error, nothing on standard output."""
    result = here.run(*arguments, "--json", stdin=stdin)
    assert (result.code, result.out) == (1, "")
    told = json.loads(result.err)
    assert told["error"] == "refused"
    assert says in told["message"]


def test_a_refusal_is_a_sentence_for_people(here: Installation) -> None:
    result = here.run("tenant", "show", "nobody")
    assert (result.code, result.out) == (1, "")
    assert result.err == "yett: there is no tenant 'nobody'; `yett tenant list` shows those that there are\n"


def test_tenants(here: Installation) -> None:
    made = here.does("tenant", "create", "initech", "--name", "Initech Ltd", "--alg", "RS256")
    assert made["issuer"] == "https://auth.example.com/t/initech"
    assert (made["slug"], made["name"], made["active"], made["signing_alg"]) == (
        "initech",
        "Initech Ltd",
        True,
        "RS256",
    )
    _refused(here, "tenant", "create", "initech", says="initech")
    _refused(here, "tenant", "create", "Initech", says="'Initech' is not a slug")
    _refused(here, "tenant", "create", "platform", says="'platform' is reserved")
    assert {"acme", "globex", "initech"} <= {row["slug"] for row in here.does("tenant", "list")}
    lines = here.run("tenant", "list").out.splitlines()
    assert lines[0].split() == ["SLUG", "NAME", "ISSUER", "ACTIVE"]
    assert any(line.split() == ["initech", "Initech", "Ltd", made["issuer"], "yes"] for line in lines)
    assert here.does("tenant", "disable", "initech") == {"slug": "initech", "active": False}
    assert here.does("tenant", "show", "initech")["active"] is False
    assert here.run("tenant", "enable", "initech").out == "resumed tenant initech\n"
    assert here.does("tenant", "show", "initech") == {**made, "former_issuers": []}


def test_roles_and_users(here: Installation) -> None:
    assert here.does("role", "create", *_ACME, "writer", "orders:write", "orders:read")["scopes"] == [
        "orders:read",
        "orders:write",
    ]
    assert {"name": "writer", "scopes": ["orders:read", "orders:write"]} in here.does("role", "list", *_ACME)
    assert here.does("role", "show", *_ACME, "writer")["name"] == "writer"
    _refused(here, "role", "show", *_ACME, "nothing", says="there is no role 'nothing' in acme")

    made = here.does("user", "create", *_ACME, "dave", "--role", "writer", "--password-stdin", stdin=PASSWORD + "\n")
    assert made["roles"] == ["writer"]
    assert made["scopes"] == ["orders:read", "orders:write"]
    _refused(here, "user", "create", *_ACME, "dave", "--password-stdin", says="dave", stdin=PASSWORD)
    _refused(here, "user", "create", *_ACME, "erin", "--password-stdin", says="That password is too short", stdin="\n")
    _refused(here, "user", "create", *_ACME, "erin", "--role", "no", "--password-stdin", says="no", stdin=PASSWORD)
    assert "erin" not in {row["name"] for row in here.does("user", "list", *_ACME)}
    assert here.does("user", "disable", *_ACME, "dave")["active"] is False
    assert here.does("user", "show", *_ACME, "dave")["active"] is False
    assert here.does("user", "enable", *_ACME, "dave")["active"] is True
    assert here.does("user", "show", *_ACME, "dave") == made
    _refused(here, "user", "show", "--tenant", "globex", "dave", says="there is no user 'dave' in globex")

    assert here.does("user", "assign", *_ACME, "dave", "reader") == {"name": "dave", "role": "reader"}
    assert here.does("user", "show", *_ACME, "dave")["roles"] == ["reader", "writer"]
    assert here.does("user", "withdraw", *_ACME, "dave", "writer") == {"name": "dave", "role": "writer"}
    assert here.does("user", "show", *_ACME, "dave")["scopes"] == ["orders:read"]
    _refused(here, "user", "assign", *_ACME, "dave", "nothing", says="there is no role 'nothing'")
    again = here.does("user", "set-password", *_ACME, "dave", "--password-stdin", stdin="another long password\n")
    assert again == {"name": "dave", "sessions_ended": 0}
    _refused(here, "user", "set-password", *_ACME, "nobody", "--password-stdin", says="nobody", stdin=PASSWORD)


def test_a_password_is_asked_for_and_needs_somebody_to_ask(here: Installation) -> None:
    result = here.run("user", "create", *_ACME, "frank")
    assert result.code == 1
    assert "Password:" in result.err
    assert "Traceback" not in result.err


def test_clients(here: Installation) -> None:
    form = ("--grant", "client_credentials", "--scope", "orders:read", "--audience", AUDIENCE)
    made = here.does("client", "create", *_ACME, "batch", "--confidential", *form)
    assert made["kind"] == "confidential"
    assert re.fullmatch(r"ycs_[A-Za-z0-9_-]{43}", made["secret"])
    shown = here.does("client", "show", *_ACME, "batch")
    assert "secret" not in shown
    assert shown == {name: value for name, value in made.items() if name not in ("secret", "created_at")} | {
        "created_at": shown["created_at"]
    }
    second = here.does("client", "rotate", *_ACME, "batch")["secret"]
    assert second != made["secret"]
    third = here.does("client", "rotate", *_ACME, "batch", "--end-others")
    assert third["secrets_ended"] == 2
    assert third["secret"] not in (made["secret"], second)
    assert "batch" in {row["client_id"] for row in here.does("client", "list", *_ACME)}
    assert here.does("client", "disable", *_ACME, "batch") == {"client_id": "batch", "active": False}
    assert here.does("client", "enable", *_ACME, "batch") == {"client_id": "batch", "active": True}
    _refused(here, "client", "create", *_ACME, "batch", "--confidential", *form, says="batch")
    _refused(here, "client", "show", *_ACME, "nothing", says="there is no client 'nothing' in acme")


def test_keys(here: Installation) -> None:
    tenant = ("--tenant", "globex")
    kids = {row["state"]: row["kid"] for row in here.does("key", "list", *tenant)}
    active, following = kids["active"], kids["next"]
    assert here.does("key", "show", *tenant, active)["state"] == "active"
    assert "d" not in here.does("key", "show", *tenant, active)["public_jwk"]
    scheduled = here.does("key", "rotate", *tenant)
    assert scheduled["kid"] == following
    assert scheduled["promote_at"]
    forced = here.run("key", "rotate", *tenant, "--now")
    assert forced.code == 0
    assert "yett: warning: the key was published for less than a day" in forced.err
    states = {row["kid"]: row["state"] for row in here.does("key", "list", *tenant)}
    assert (states[active], states[following]) == ("retiring", "active")
    assert list(states.values()).count("next") == 1
    another = here.does("key", "create", *tenant)
    assert another["state"] == "next"
    assert here.does("key", "revoke", *tenant, active)["state"] == "revoked"
    assert here.does("key", "show", *tenant, active)["state"] == "revoked"
    _refused(here, "key", "revoke", *tenant, "nothing", says="nothing")
    _refused(here, "key", "show", *tenant, "nothing", says="there is no key 'nothing' in globex")


def test_every_change_from_the_command_line_is_in_the_log(here: Installation, tmp_path: Path) -> None:
    here.does("user", "disable", *_ACME, "mallory")
    (last,) = here.does("audit", "list", *_ACME, "--limit", "1")
    assert (last["type"], last["user_name"], last["tenant"]) == ("user.disabled", "mallory", "acme")
    assert last["actor"].startswith("cli:")
    made = {event["type"] for event in here.does("audit", "list", "--limit", "1000")}
    assert {"tenant.created", "role.created", "user.created", "client.created"} <= made
    out = tmp_path / "acme.jsonl"
    said = here.does("audit", "export", *_ACME, "--out", out)
    header, *entries, block = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert said["events"] == len(entries) > 5
    assert set(header) == {"yett_audit", "kind", "tenant", "checkpoint"}
    assert set(entries[0]) == {"position", "leaf", "salt", "event"}
    assert set(block) == {"block", "proof"}
    assert here.run("audit", "export", *_ACME, "--out", "-").out == out.read_text(encoding="utf-8")
    _refused(here, "audit", "export", "--tenant", "nobody", "--out", "-", says="there is no tenant 'nobody'")
    _refused(here, "audit", "list", "--tenant", "nobody", says="there is no tenant 'nobody'")


def test_a_policy_is_checked_without_a_database(tmp_path: Path, here: Installation) -> None:
    config = tmp_path / "yett.yaml"
    config.write_text(here.config.read_text(encoding="utf-8"), encoding="utf-8")
    checked = yett("policy", "check", "--config", config, "--json")
    assert checked.code == 0
    assert (checked.json["routes"], checked.json["upstreams"]) == (5, 1)
    assert re.fullmatch("[0-9a-f]{64}", checked.json["digest"])


def test_init_makes_a_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    data = tmp_path / "new"
    first = yett("init", "--data", data, "--json")
    assert first.code == 0
    assert first.json["created"] is True
    assert stat.S_IMODE(os.stat(data / "master.key").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(data).st_mode) == 0o700
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    again = yett("init", "--data", data, "--json")
    assert again.json["created"] is False
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    assert yett("policy", "check", "--data", data).code == 0
    missing = yett("migrate", "--check", "--data", data)
    assert (missing.code, missing.out.splitlines()[0]) == (1, "schema nothing; missing:")
    assert not (data / "yett.db").exists()
    migrated = yett("migrate", "--data", data, "--json").json
    assert migrated["before"] is None
    checked = yett("migrate", "--check", "--data", data, "--json")
    assert (checked.code, checked.json) == (0, {"schema": migrated["after"], "missing": []})
    with closing(sqlite3.connect(data / "yett.db")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '0001'")
    behind = yett("migrate", "--check", "--data", data, "--json")
    assert (behind.code, behind.json["schema"], behind.json["missing"][0][:4]) == (1, "0001", "0002")
    for oldest_code, code in (("0001", 0), ("9999", 4)):
        with closing(sqlite3.connect(data / "yett.db")) as other, other:
            other.execute("UPDATE alembic_version SET version_num = '9999'")
            other.execute("UPDATE schema_support SET oldest_code = ?", [oldest_code])
        assert yett("migrate", "--check", "--data", data).code == code
        assert yett("tenant", "list", "--data", data).code == code
        assert yett("migrate", "--data", data).code == 4
    with closing(sqlite3.connect(data / "yett.db")) as other, other:
        other.execute("UPDATE alembic_version SET version_num = ?", [migrated["after"]])
    current = yett("migrate", "--data", data)
    assert (current.code, current.out) == (0, "schema is current\n")
    assert yett("tenant", "list", "--data", data, "--json").json == []
    roles = yett("migrate", "--data", data, "--create-roles")
    assert (roles.code, roles.err) == (1, "yett: SQLite has no roles\n")


def test_what_a_command_writes_is_its_users_alone_whatever_the_folder_and_the_umask(tmp_path: Path) -> None:
    data, exported = tmp_path / "data", tmp_path / "acme.jsonl"
    data.mkdir(mode=0o755)
    data.chmod(0o755)

    def run(*arguments: str | Path) -> None:
        assert yett(*arguments, "--data", data, umask=0o022).code == 0

    run("init")
    run("migrate")
    run("tenant", "create", "acme", "--name", "Acme")
    run("audit", "export", "--tenant", "acme", "--out", exported)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (*data.iterdir(), exported)}
    assert modes == dict.fromkeys(("master.key", "yett.yaml", "yett.db", "acme.jsonl"), 0o600)


def test_a_command_that_is_called_inside_a_process_gives_the_umask_back(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert CliRunner().invoke(main, ["init", "--data", str(tmp_path)]).exit_code == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "yett.yaml").stat().st_mode) == 0o600

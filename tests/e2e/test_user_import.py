"""`yett user import` as an operator runs it: checked whole before it is written, interrupted, gone on with, taken back;
and its users log in with the passwords that they had.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import YETT, Result, environment
from tests.e2e.conftest import Copy
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation

_ACME = ("--tenant", "acme")
BCRYPT = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "foreign_hashes.json").read_text(encoding="utf-8"))
HASH_CONFIG = """hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
"""


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def written(folder: Path, *users: Mapping[str, object], name: str = "users.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(user) + "\n" for user in users), encoding="utf-8")
    return path


def imports(here: Installation, *arguments: str | Path, tenant: str = "acme") -> Result:
    return here.run("user", "import", "--tenant", tenant, *arguments)


def names(here: Installation, tenant: str = "acme") -> set[str]:
    return {row["name"] for row in here.does("user", "list", "--tenant", tenant)}


def told(here: Installation, tenant: str, type_: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = here.does("audit", "list", "--tenant", tenant, "--limit", "1000")
    return [event for event in listed if event["type"] == type_]


def test_every_faulty_line_is_told_and_nothing_is_written(here: Installation, tmp_path: Path) -> None:
    before = names(here)
    file = tmp_path / "users.jsonl"
    file.write_text(
        '{"name": "dora"}\n'
        "no json\n"
        '{"name": "ALICE"}\n'
        '{"name": "dora2", "is_admin": true}\n'
        '{"name": "DORA", "email": "dora@example.com"}\n'
        '{"name": "dora3", "email": "dora3@example.com", "password_hash": "$2b$31$' + "u" * 53 + '"}\n'
        '{"name": "dora4", "email": "d@example.com"}\n'
        '{"name": "dora5", "email": "D@example.com"}\n'
        '{"name": "dora6", "roles": ["king"]}\n',
        encoding="utf-8",
    )
    for more in ((), ("--dry-run",)):
        result = imports(here, file, *more)
        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines() == [
            "yett: 7 of the file's lines cannot be imported; nothing was written:",
            "line 2: this is not JSON",
            "line 3: user 'ALICE' exists already",
            "line 4: there is no field 'is_admin': those that there are: name, email, email_verified, password_hash, "
            "password_salt, roles, active",
            "line 5: user 'DORA' stands on line 1 already",
            "line 6: bcrypt of cost 31 costs too much: at most 14",
            "line 8: email address 'D@example.com' stands on line 7 already",
            "line 9: there is no role 'king'",
        ]
    assert names(here) == before
    few = imports(here, file, "--show", "2").err.splitlines()
    assert few[1:] == [
        "line 2: this is not JSON",
        "line 3: user 'ALICE' exists already",
        "and 5 more; --show 0 names all",
    ]
    machine = imports(here, file, "--json")
    assert json.loads(machine.err)["error"] == "refused"
    assert "line 9: there is no role 'king'" in json.loads(machine.err)["message"]


def test_many_faulty_lines_are_counted_and_some_are_named(here: Installation, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("x\n" * 2500, encoding="utf-8")
    lines = imports(here, file).err.splitlines()
    assert lines[0].startswith("yett: 2,500 of the file's lines")
    assert len(lines) == 102
    assert lines[-1] == "and 2,400 more; --show 0 names all"
    assert len(imports(here, file, "--show", "0").err.splitlines()) == 2501


def test_users_are_imported_and_taken_back(here: Installation, tmp_path: Path) -> None:
    before = names(here)
    file = written(
        tmp_path,
        {
            "name": "emil",
            "email": "emil@example.com",
            "email_verified": True,
            "password_hash": BCRYPT,
            "roles": ["reader"],
        },
        {"email": "frida@example.com", "active": False},
    )
    dry = imports(here, file, "--dry-run", "--json")
    assert json.loads(dry.out) == {"users": 2, "schemes": {"bcrypt:4": 1, "no password": 1}, "dry_run": True}
    assert names(here) == before
    done = imports(here, file, "--json")
    assert (done.code, done.err) == (0, "")
    import_id = json.loads(done.out)["import_id"]
    assert json.loads(done.out)["users"] == 2
    emil = here.does("user", "show", *_ACME, "emil")
    assert (emil["email"], emil["email_verified"], emil["roles"], emil["active"]) == (
        *("emil@example.com", True),
        *(["reader"], True),
    )
    assert here.does("user", "show", *_ACME, "frida@example.com")["active"] is False
    (event,) = told(here, "acme", "users.imported")
    assert event["count"] == 2
    assert event["details"] == {"import": import_id, "first_line": 1, "last_line": 2}
    assert event["actor"].startswith("cli:")

    again = imports(here, file)
    assert "line 1: user 'emil' exists already" in again.err
    assert "is finished" in imports(here, file, "--resume", import_id).err
    assert "there is no import" in imports(here, "--undo", import_id, tenant="globex").err
    undone = imports(here, "--undo", import_id, "--json")
    assert json.loads(undone.out) == {"import_id": import_id, "removed": 2, "kept": 0}
    assert names(here) == before
    (event,) = told(here, "acme", "users.import_undone")
    assert (event["count"], event["details"]) == (2, {"import": import_id})
    assert "was undone" in imports(here, file, "--resume", import_id).err
    assert imports(here, file).code == 0  # anew
    assert {"emil", "frida@example.com"} <= names(here)


def test_csv_and_firebases_parameters(here: Installation, tmp_path: Path) -> None:
    (firebase,) = (vector for vector in VECTORS["matching"] if vector["name"] == "Firebase")
    stored = json.loads(firebase["hash"])
    file, config = tmp_path / "users.csv", tmp_path / "hash_config.txt"
    file.write_text(
        f"email,email_verified,password_hash,password_salt\ngerd@example.com,true,{stored['hash']},{stored['salt']}\n",
        encoding="utf-8",
    )
    assert "line 2: a Firebase hash needs its project's" in imports(here, file).err
    config.write_text(HASH_CONFIG, encoding="utf-8")
    dry = imports(here, file, "--firebase", config, "--dry-run", "--json")
    assert json.loads(dry.out)["schemes"] == {"firebase-scrypt:ln=14,r=8": 1}
    config.write_text("nothing of it", encoding="utf-8")
    assert "password hash parameters" in imports(here, file, "--firebase", config).err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument 'FILE'"),
        (["{file}", "--undo", "6f1c4f0e-6f0e-4b6e-8a3e-2f4f4a1b7c11"], "--undo takes an import's id and nothing else"),
        (["--undo", "nothing"], "is not a valid UUID"),
        (["{file}", "--resume", "1"], "is not a valid UUID"),
        (["{file}.missing"], "does not exist"),
        (["{file}"], "neither .jsonl nor .csv"),
        (["{file}", "--format", "xml"], "is not one of"),
    ],
)
def test_wrong_usage(here: Installation, tmp_path: Path, arguments: list[str], says: str) -> None:
    file = tmp_path / "users.txt"
    file.write_text("", encoding="utf-8")
    result = imports(here, *(argument.format(file=file) for argument in arguments))
    assert result.code == 2
    assert says in result.err


def test_what_there_is_not_is_refused(here: Installation, tmp_path: Path) -> None:
    file = written(tmp_path, {"name": "hanna"})
    nobody = "6f1c4f0e-6f0e-4b6e-8a3e-2f4f4a1b7c11"
    assert "there is no tenant 'nobody'" in imports(here, file, tenant="nobody").err
    assert f"there is no import {nobody}" in imports(here, file, "--resume", nobody).err
    assert f"there is no import {nobody}" in imports(here, "--undo", nobody).err
    assert "there is no user in" in imports(here, written(tmp_path, name="empty.jsonl")).err
    assert "hanna" not in names(here)


def test_an_import_that_was_killed_goes_on_where_it_was(here: Installation, tmp_path: Path) -> None:
    count, before = 8_000, names(here)
    file = written(
        tmp_path,
        *({"name": f"killed{number}", "password_hash": BCRYPT, "roles": ["reader"]} for number in range(count)),
    )
    called = [YETT, "user", "import", str(file), *_ACME, "--config", str(here.config)]
    with subprocess.Popen(called, env=environment(here.settings), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("import ")
        while not (rows := here.rows("SELECT count(*) FROM users WHERE name LIKE 'killed%'"))[0][0]:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    ((left,),) = here.rows("SELECT count(*) FROM users WHERE name LIKE 'killed%'")
    ((import_id, said),) = here.rows("SELECT id, written FROM user_imports WHERE finished_at IS NULL")
    assert rows[0][0] <= left == said < count
    result = imports(here, file)
    assert (result.code, result.out) == (1, "")
    assert f"is not finished, {left:,} of its {count:,} users are there" in result.err
    assert "go on with --resume" in result.err
    other = written(tmp_path, {"name": "somebody"}, name="other.jsonl")
    assert "is not the file that import" in imports(here, other, "--resume", import_id).err
    done = json.loads(imports(here, file, "--resume", import_id, "--json").out)
    assert done["users"] == count
    for table, where in (
        ("users", "name LIKE 'killed%'"),
        ("passwords", "scheme = 'bcrypt:4'"),
        ("user_roles", "true"),
    ):
        ((found,),) = here.rows(f"SELECT count(*) FROM {table} WHERE {where}")
        assert found >= count
    rows = here.rows("SELECT name FROM users WHERE name LIKE 'killed%'")
    assert {name for (name,) in rows} == {f"killed{number}" for number in range(count)}
    assert sum(event["count"] for event in told(here, "acme", "users.imported")) >= count
    undone = json.loads(imports(here, "--undo", import_id, "--json").out)
    assert (undone["removed"], undone["kept"]) == (count, 0)
    assert names(here) == before


def test_imported_users_log_in_and_are_argon2id_afterwards(own_gateway: Gateway, tmp_path: Path) -> None:
    """Each format, through the command and the token endpoint, on both databases."""
    here = own_gateway.installation
    vectors = VECTORS["matching"]
    file = written(
        tmp_path,
        *(
            {"name": f"import{number}", "password_hash": vector["hash"], "roles": ["reader"]}
            for number, vector in enumerate(vectors)
        ),
    )
    done = json.loads(imports(here, file, "--json").out)

    def login(number: int, password: str) -> int:
        form = {"grant_type": "password", "username": f"import{number}", "password": password}
        return own_gateway.ask_token(**form).status_code

    for number, vector in enumerate(vectors[:3]):
        assert login(number, "x" + vector["password"]) == 400, vector["name"]
    for number, vector in enumerate(vectors[:-1]):
        assert login(number, vector["password"]) == 200, vector["name"]
        assert login(number, vector["password"]) == 200, vector["name"]
    rows = here.rows(
        "SELECT u.name, p.scheme, p.hash, p.version FROM passwords p JOIN users u ON u.id = p.user_id"
        " WHERE u.name LIKE 'import%'"
    )
    assert len(rows) == len(vectors)
    untouched = f"import{len(vectors) - 1}"
    (cut,) = (f"import{number}" for number, vector in enumerate(vectors) if vector["name"].endswith("cut at 72"))
    for name, scheme, stored, version in rows:
        if name == untouched:
            assert scheme.startswith("firebase-scrypt:")
        elif name == cut:
            assert scheme.startswith("bcrypt:")  # the end of what was typed has never been compared with anything
        else:
            assert (scheme, version) == ("argon2id:m=19456,t=2,p=1", 1)
            assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    undone = json.loads(imports(here, "--undo", done["import_id"], "--json").out)
    assert (undone["removed"], undone["kept"]) == (1, len(vectors) - 1)
    assert untouched not in names(here)


def test_a_gateway_goes_on_writing_while_users_are_imported(own_gateway: Gateway, tmp_path: Path) -> None:
    here = own_gateway.installation
    file = written(tmp_path, *({"name": f"meanwhile{number}", "password_hash": BCRYPT} for number in range(12_000)))
    called = [YETT, "user", "import", str(file), *_ACME, "--config", str(here.config), "--json"]
    statuses = []
    with subprocess.Popen(called, env=environment(here.settings), stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            statuses.append(own_gateway.login("bob")["token_type"])
        assert process.returncode == 0
    assert len(statuses) >= 3
    assert set(statuses) == {"Bearer"}

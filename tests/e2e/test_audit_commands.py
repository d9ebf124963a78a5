"""``yett audit`` and ``yett user erase`` as operators and auditors use them: what is written here is verified there."""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policies.audit_file import LONGEST_LINE
from tests.e2e.command import Result, yett
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.installation import Installation

_ACME = ("--tenant", "acme")
_EARLY, _LATER = "early.txt", "later.txt"


@dataclass(frozen=True)
class Audited:
    """An installation whose log was looked at twice, with a change between."""

    of: Installation
    folder: Path
    events: int

    def writes(self, name: str, *arguments: str | Path) -> Path:
        self.of.does("audit", *arguments, "--out", self.folder / name)
        return self.folder / name

    def verify(self, file: str, *more: str | Path) -> Result:
        """On another machine, so to speak: there is no installation, only files."""
        return yett("audit", "verify", self.folder / file, "--key", self.folder / "acme.key", "--json", *more)

    def lines(self) -> list[str]:
        return (self.folder / "acme.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)

    def finds(self, lines: list[str], *more: str | Path) -> dict[str, Any]:
        """The first thing that is wrong with this file."""
        (self.folder / "altered.jsonl").write_text("".join(lines), encoding="utf-8")
        result = self.verify("altered.jsonl", *more)
        assert result.code == 1, result
        assert result.json["whole"] is False
        first: dict[str, Any] = result.json["findings"][0]
        return first


@pytest.fixture(scope="module", params=DATABASES)
def audited(request: pytest.FixtureRequest, copy_of: Copy, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    of, folder = copy_of(request.param), tmp_path_factory.mktemp("auditor")
    early = of.does("audit", "checkpoint", *_ACME, "--out", folder / _EARLY)
    for command in ("disable", "enable"):
        of.does("user", command, *_ACME, "bob")
    made = Audited(of, folder, early["size"] + 2)
    made.writes("acme.key", "key", *_ACME)
    made.writes("acme.jsonl", "export", *_ACME)
    made.writes(_LATER, "checkpoint", *_ACME)
    return made


def test_an_export_is_whole_beside_each_checkpoint(audited: Audited) -> None:
    for held in ((), ("--checkpoint", audited.folder / _EARLY), ("--checkpoint", audited.folder / _LATER)):
        result = audited.verify("acme.jsonl", *held)
        assert result.code == 0, result
        assert (result.json["whole"], result.json["events"], result.json["erased"]) == (True, audited.events, 0)
        assert result.json["origin"] == "auth.example.com/t/acme/audit"
    shown = yett("audit", "verify", audited.folder / "acme.jsonl", "--key", audited.folder / "acme.key")
    assert shown.out.startswith(f"whole: {audited.events} events of auth.example.com/t/acme/audit")
    assert "hold a checkpoint" in shown.out


def test_what_was_done_to_an_export_is_named(audited: Audited) -> None:
    lines = audited.lines()
    changed = list(lines)
    changed[3] = lines[3].replace('\\"outcome\\":\\"success\\"', '\\"outcome\\":\\"refused\\"')
    found = audited.finds(changed)
    assert (found["line"], found["position"]) == (4, 2)
    assert found["event"] in lines[3]
    assert audited.finds([*lines[:3], *lines[4:]])["position"] == 2
    assert audited.finds([*lines[:4], lines[3], *lines[4:]])["position"] == 3
    assert audited.finds([*lines[:3], lines[4], lines[3], *lines[5:]])["position"] == 2
    assert audited.finds(lines[:-3])["position"] == audited.events - 2


def test_an_older_export_is_a_cut_tail_to_who_holds_a_later_checkpoint(audited: Audited) -> None:
    older = [line for line in audited.lines() if "position" in line][: audited.events - 2]
    header = json.loads(audited.lines()[0]) | {"checkpoint": (audited.folder / _EARLY).read_text(encoding="utf-8")}
    block = json.dumps({"block": 0, "proof": []}) + "\n"
    lines = [json.dumps(header) + "\n", *older, block]
    found = audited.finds(lines, "--checkpoint", audited.folder / _LATER)
    assert found["position"] == audited.events - 2
    assert "the end was cut off" in found["problem"]


def test_another_tenants_key_and_a_key_that_was_altered_verify_nothing(audited: Audited) -> None:
    other = audited.writes("globex.key", "key", "--tenant", "globex")
    wrong = yett("audit", "verify", audited.folder / "acme.jsonl", "--key", other)
    assert (wrong.code, wrong.out) == (1, "")
    assert "of the log auth.example.com/t/acme/audit, and the key of auth.example.com/t/globex/audit" in wrong.err
    text = (audited.folder / "acme.key").read_text(encoding="utf-8")
    other.write_text(text.replace("+A", "+B"), encoding="utf-8")
    malformed = yett("audit", "verify", audited.folder / "acme.jsonl", "--key", other)
    assert malformed.code == 1
    assert "globex.key" in malformed.err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: [], "line 1: not JSON"),
        (lambda _: ["\0" * 100], "line 1: not JSON"),
        (lambda _: ["[" * 100_000], "line 1: nested too deeply"),
        (lambda lines: lines[1:], "line 1: not an export"),
        (lambda lines: [lines[0].replace("acme/audit\\n", "acme/audit\\n9", 1)], "line 1: the checkpoint's signature"),
    ],
)
def test_a_hostile_first_line_is_told(audited: Audited, spoil: Callable[[list[str]], list[str]], says: str) -> None:
    (audited.folder / "hostile.jsonl").write_text("".join(spoil(audited.lines())), encoding="utf-8")
    result = audited.verify("hostile.jsonl")
    assert (result.code, result.out) == (1, "")
    assert says in result.err


def test_a_hostile_line_is_told_with_its_number(audited: Audited) -> None:
    header = audited.lines()[0]
    for line in ('{"position":0,"position":0}', '{"position":NaN}', "[" * 100_000, "x" * (LONGEST_LINE + 10)):
        assert audited.finds([header, line])["line"] == 2


def test_one_event_is_proved(audited: Audited) -> None:
    (event,) = audited.of.does("audit", "list", *_ACME, "--limit", "1")
    proof = audited.writes("proof.jsonl", "prove", event["id"], *_ACME)
    result = audited.verify("proof.jsonl", "--checkpoint", audited.folder / _LATER)
    assert (result.code, result.json["events"], result.json["whole"]) == (0, 1, True)
    text = proof.read_text(encoding="utf-8")
    assert audited.of.run("audit", "prove", event["id"], *_ACME).out == text
    altered = text.replace('\\"type\\":\\"user.enabled\\"', '\\"type\\":\\"user.disabled\\"')
    assert audited.finds(altered.splitlines(keepends=True))["position"] == event["position"]
    early = audited.verify("proof.jsonl", "--checkpoint", audited.folder / _EARLY)
    assert early.code == 1
    assert "yett audit consistency" in early.err
    nothing = audited.of.run("audit", "prove", "nothing", *_ACME)
    assert (nothing.code, nothing.err) == (1, "yett: there is no event 'nothing' in the log of acme\n")


def test_a_later_checkpoint_is_proved_to_continue_an_earlier_one(audited: Audited) -> None:
    early, later = audited.folder / _EARLY, audited.folder / _LATER
    proof = audited.writes("consistency.jsonl", "consistency", early, later)
    assert audited.verify("consistency.jsonl").code == 0
    assert audited.verify("consistency.jsonl", "--checkpoint", later).code == 0
    assert audited.verify("consistency.jsonl", "--checkpoint", early).code == 0
    assert audited.finds([proof.read_text(encoding="utf-8"), "{}\n"])["line"] == 2
    fields = json.loads(proof.read_text(encoding="utf-8"))
    other = audited.folder / "other.jsonl"  # honest of itself, and of another past than the one that is held
    other.write_text(json.dumps(fields | {"earlier": fields["checkpoint"], "proof": []}) + "\n", encoding="utf-8")
    assert audited.verify(other.name).code == 0
    assert audited.verify(other.name, "--checkpoint", early).code == 1
    forged = json.dumps(fields | {"proof": fields["proof"][1:]}) + "\n"
    assert "do not continue" in audited.finds([forged])["problem"]
    turned = audited.of.run("audit", "consistency", later, early)
    assert turned.code == 1
    assert "is the later one of the two" in turned.err
    foreign = audited.of.run("audit", "consistency", audited.folder / "acme.key", later)
    assert foreign.code == 1
    assert "is no checkpoint" in foreign.err


def test_a_selection_is_proved_event_by_event(audited: Audited) -> None:
    said = audited.of.does(
        *("audit", "export", *_ACME, "--type", "user.*", "--since", "2026-01-01T00:00Z", "--out"),
        audited.folder / "some.jsonl",
    )
    assert 0 < said["events"] < audited.events
    result = audited.verify("some.jsonl", "--checkpoint", audited.folder / _LATER)
    assert (result.code, result.json["events"]) == (0, said["events"])
    lines = (audited.folder / "some.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert audited.finds([*lines[:2], *lines[3:]])["line"] == len(lines) - 1
    for wrong in (("--since", "yesterday"), ("--until", "2026-01-01T00:00")):
        assert audited.of.run("audit", "export", *_ACME, *wrong, "--out", "-").code == 2


def test_a_table_holds_no_formula(audited: Audited, tmp_path: Path) -> None:
    audited.of.does("tenant", "create", "initech", "--name", "Initech")
    audited.of.does("user", "invite", "--tenant", "initech", "--name", "=1+1", "--print-link")
    audited.of.does("audit", "export", "--tenant", "initech", "--format", "csv", "--out", tmp_path / "initech.csv")
    with (tmp_path / "initech.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["type"] for row in rows] == ["tenant.created", "user.invited"]
    assert rows[1]["user_name"] == "'=1+1"
    assert json.loads(rows[0]["details"])["slug"] == "initech"


def test_a_person_is_erased_and_the_log_is_whole(copy_of: Copy, tmp_path: Path) -> None:
    of = copy_of("sqlite")
    here = Audited(of, tmp_path, 0)
    mallory = of.does("user", "show", *_ACME, "mallory")["id"]
    here.writes("acme.key", "key", *_ACME)
    here.writes(_EARLY, "checkpoint", *_ACME)
    assert of.run("user", "erase", *_ACME, "mallory", stdin="n\n").code == 1
    assert of.does("user", "show", *_ACME, "mallory")["active"] is True
    said = of.does("user", "erase", *_ACME, "Mallory", "--yes")
    assert (said["id"], said["deleted"]) == (mallory, True)
    assert said["events"] > 0
    assert of.run("user", "show", *_ACME, "mallory").code == 1
    (last,) = of.does("audit", "list", *_ACME, "--limit", "1")
    assert (last["type"], last["subject"], last["count"]) == ("user.erased", mallory, said["events"])
    assert "user_name" not in last
    export = here.writes("acme.jsonl", "export", *_ACME)
    assert "mallory" not in export.read_text(encoding="utf-8").lower()
    result = here.verify("acme.jsonl", "--checkpoint", tmp_path / _EARLY)
    assert (result.code, result.json["erased"]) == (0, said["events"])
    again = of.does("user", "erase", *_ACME, mallory, "--yes")
    assert (again["deleted"], again["events"]) == (False, 0)
    assert of.run("user", "erase", *_ACME, "nobody", "--yes").code == 1
    of.does("user", "invite", *_ACME, "Nora@example.com", "--print-link")
    invited = of.does("user", "erase", *_ACME, "nora@example.com", "--yes")
    assert (invited["id"], invited["deleted"], invited["events"]) == (None, False, 2)  # with the end of the link
    export = here.writes("later.jsonl", "export", *_ACME)
    assert "nora" not in export.read_text(encoding="utf-8").lower()
    assert of.rows("SELECT count(*) FROM mail_links WHERE lower(email) LIKE 'nora%'") == [(0,)]
    assert of.rows("SELECT count(*) FROM user_roles WHERE user_id NOT IN (SELECT id FROM users)") == [(0,)]


def test_rows_that_were_taken_out_of_the_database_are_told(copy_of: Copy, tmp_path: Path) -> None:
    of = copy_of("sqlite")
    of.does("audit", "checkpoint", *_ACME, "--out", tmp_path / _EARLY)
    with closing(sqlite3.connect(of.data / "yett.db")) as connection, connection:
        connection.execute("DELETE FROM audit_events WHERE position = 3")
    refused = of.run("audit", "export", *_ACME, "--out", tmp_path / "acme.jsonl")
    assert refused.code == 1
    assert "missing from the database" in refused.err
    assert not (tmp_path / "acme.jsonl").exists()

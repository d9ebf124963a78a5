"""The guides for who comes from elsewhere do what they say: Keycloak's export becomes a tenant, and what oauth2-proxy's
configuration let in is let in.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.command import yett
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
REALM = ROOT / "tests" / "vectors" / "keycloak_realm.json"
AUDIENCE = "https://api.example.com/orders"


def fenced(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def clients_of(here: Installation, tenant: str) -> dict[str, Any]:
    return {row["client_id"]: row for row in here.does("client", "list", "--tenant", tenant)}


def converted(realm: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the page's program says of an export. It writes users.jsonl into the folder."""
    (program,) = fenced("from-keycloak.md", "python")
    return subprocess.run(
        [sys.executable, "-c", program, str(realm), "moved", AUDIENCE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_realm_becomes_a_tenant(here: Installation, tmp_path: Path) -> None:
    done = converted(REALM, tmp_path)
    assert done.stderr in fenced("from-keycloak.md", "console")[0]
    for line in done.stdout.splitlines():
        _, *words = (str(tmp_path / word) if word == "users.jsonl" else word for word in shlex.split(line))
        here.does(*words)
    moved = ("--tenant", "moved")
    users = {
        row["name"]: (row["email"], row["email_verified"], row["active"], row["roles"])
        for row in here.does("user", "list", *moved)
    }
    assert users == {
        "alice": ("alice@example.com", True, True, ["buyer", "clerk"]),
        "bob": ("bob@example.com", False, False, []),
    }
    hashes = here.rows(
        "SELECT users.name, scheme FROM passwords JOIN users ON users.id = passwords.user_id "
        "JOIN tenants ON tenants.id = users.tenant_id WHERE slug = 'moved' ORDER BY users.name"
    )
    assert hashes == [("alice", "argon2id:m=7168,t=5,p=1"), ("bob", "pbkdf2-sha512:2100")]


def test_its_clients_are_what_they_were(here: Installation) -> None:
    clients = clients_of(here, "moved")
    asked = ["buyer", "clerk", "email", "openid", "profile"]
    assert {name: (each["kind"], each["first_party"], each["scopes"]) for name, each in clients.items()} == {
        "shop": ("public", True, asked),
        "legacy": ("confidential", False, asked),
        "jobs": ("confidential", True, ["clerk"]),
    }
    assert (
        clients["shop"]["redirect_uris"]
        == clients["shop"]["post_logout_redirect_uris"]
        == ["https://shop.example.com/callback"]
    )
    assert clients["shop"]["origins"] == ["https://shop.example.com"]
    assert clients["legacy"]["redirect_uris"] == [
        "https://legacy.example.com/oidc/callback"
    ]  # and none with a wildcard
    assert clients["legacy"]["backchannel_logout_uri"] == "https://legacy.example.com/oidc/logout"
    assert clients["legacy"]["grant_types"] == ["authorization_code", "password", "refresh_token"]
    assert clients["jobs"]["grant_types"] == ["client_credentials"]
    assert {tuple(each["audiences"]) for each in clients.values()} == {(AUDIENCE,)}


def test_an_export_without_its_users_is_no_export(tmp_path: Path) -> None:
    realm = json.loads(REALM.read_text(encoding="utf-8"))
    del realm["users"]
    (tmp_path / "realm.json").write_text(json.dumps(realm), encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        converted(tmp_path / "realm.json", tmp_path)
    assert "has no users" in failed.value.stderr
    assert not failed.value.stdout


def test_no_client_gets_more_than_it_had(tmp_path: Path) -> None:
    realm = json.loads(REALM.read_text(encoding="utf-8"))
    shop, legacy = realm["clients"][1:3]
    shop["fullScopeAllowed"] = False
    legacy["serviceAccountsEnabled"] = True
    (tmp_path / "realm.json").write_text(json.dumps(realm), encoding="utf-8")
    done = converted(tmp_path / "realm.json", tmp_path)
    commands = {line.split()[3]: line for line in done.stdout.splitlines() if line.startswith("yett client create")}
    assert "--scope clerk" not in commands["shop"]
    assert "client_credentials" not in commands["legacy"]
    assert {"client shop: it does not get every role", "client legacy: it acts for people and for itself"} <= {
        line.partition(" (")[0].partition(";")[0] for line in done.stderr.splitlines()
    }


def test_what_oauth2_proxy_let_in_is_let_in(tmp_path: Path) -> None:
    config, cases = fenced("from-oauth2-proxy.md", "yaml")
    (tmp_path / "yett.yaml").write_text(config, encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(cases, encoding="utf-8")
    done = yett("policy", "test", tmp_path / "cases.yaml", "--config", tmp_path / "yett.yaml")
    assert (done.code, done.out) == (0, "8 of 8 cases are decided as expected\n"), done.err + done.out


def test_the_client_that_people_log_in_by_is_the_configurations(here: Installation) -> None:
    config = yaml.safe_load(fenced("from-oauth2-proxy.md", "yaml")[0])
    (made,) = fenced("from-oauth2-proxy.md", "bash")
    for line in made.replace("\\\n", " ").splitlines():
        here.does(*("tools" if word == "acme" else word for word in shlex.split(line)[1:]))
    known = clients_of(here, "tools")[config["browser_sessions"]["client"]]
    assert known["redirect_uris"] == [f"https://{host}/.yett/callback" for host in config["api_hosts"]]
    assert set(known["audiences"]) == {upstream["audience"] for upstream in config["upstreams"].values()}
    wanted = {
        scope for route in config["routes"] if route["require"] != "anonymous" for scope in route["require"]["scopes"]
    }
    assert set(known["scopes"]) == {"openid", *wanted}

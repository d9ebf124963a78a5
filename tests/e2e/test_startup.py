"""What stops a start, and what is said of it: the configuration, the master key, the schema, the database's roles."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.command import Result, script, yett
from tests.e2e.conftest import Copy


@pytest.mark.parametrize("arguments", [["policy", "check"], ["serve"], ["tenant", "list"]], ids=" ".join)
def test_a_wrong_configuration_is_3_with_every_problems_place(tmp_path: Path, arguments: list[str]) -> None:
    config = tmp_path / "yett.yaml"
    config.write_text(
        "public_url: https://auth.example.com\n"
        "api_hosts: [api.example.com]\n"
        "trusted_proxies: [10.0.0.1/8]\n"
        "upstreams: {orders: {targets: [http://127.0.0.1:9]}}\n"
        "routes:\n"
        "  - {name: orders, match: {path: /orders/**}, upstream: orders}\n",
        encoding="utf-8",
    )
    result = yett(*arguments, "--config", config, env={"YETT_DATA": str(tmp_path / "data")})
    assert (result.code, result.out) == (3, "")
    assert f"{config}:3: trusted_proxies[0]: " in result.err
    assert f"{config}:6: routes[0].require: is required" in result.err
    assert "Traceback" not in result.err
    misspelt = yett(*arguments, env={"YETT_DATA": str(tmp_path), "YETT_PUBLIK_URL": "https://auth.example.com"})
    assert misspelt.code == 3
    assert "YETT_PUBLIK_URL" in misspelt.err


def _fails_to_start(said: Result, *, sentence: str) -> None:
    assert said.code == 4
    assert said.out == ""
    assert sentence in said.err
    assert said.err.startswith("yett: ")
    assert "Traceback" not in said.err


def test_without_its_master_key_nothing_starts(copy_of: Copy) -> None:
    of = copy_of("sqlite")
    key = of.data / "master.key"
    kept = key.read_bytes()
    key.unlink()
    _fails_to_start(of.run("serve"), sentence=str(key))
    key.touch(mode=0o600)
    key.write_text("nonsense\n", encoding="ascii")
    _fails_to_start(of.run("serve"), sentence=f"{key}, line 1")
    key.unlink()
    assert yett("init", "--data", of.data).code == 0  # another one
    for command in (["serve"], ["tenant", "list"]):
        _fails_to_start(of.run(*command), sentence="The master key does not belong to this database")
    key.write_bytes(kept)
    assert of.run("tenant", "list").code == 0


def test_a_master_key_that_everybody_can_read_is_4(copy_of: Copy) -> None:
    of = copy_of("sqlite")
    (of.data / "master.key").chmod(0o644)
    _fails_to_start(of.run("serve"), sentence=f"chmod 600 {of.data / 'master.key'}")


def test_a_database_that_is_not_migrated_is_4(tmp_path: Path) -> None:
    assert yett("init", "--data", tmp_path / "data").code == 0
    _fails_to_start(script("serve", "--data", tmp_path / "data"), sentence="Run `yett migrate`.")


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_the_database_of_a_newer_version_is_4(copy_of: Copy, command: str) -> None:
    of = copy_of("sqlite")
    with closing(sqlite3.connect(of.data / "yett.db")) as session, session:
        session.execute("UPDATE alembic_version SET version_num = '9999'")
        session.execute("UPDATE schema_support SET oldest_code = '9999'")
    _fails_to_start(of.run(command), sentence="The database has schema 9999, ")


def test_an_admin_that_may_not_make_roles_is_4(copy_of: Copy) -> None:
    of = copy_of("postgresql")
    settings = {name: value for name, value in of.settings.items() if not name.startswith("YETT_DATABASE_ADMIN_URL")}
    powerless = {**settings, "YETT_DATABASE_ADMIN_URL": of.settings["YETT_DATABASE_URL"]}
    made = yett("migrate", "--create-roles", "--config", of.config, env=powerless)
    _fails_to_start(made, sentence="database_admin_url may not make the three roles")


def test_postgresql_refuses_an_application_role_that_escapes_row_level_security(copy_of: Copy) -> None:
    of = copy_of("postgresql")
    admin = Path(of.settings["YETT_DATABASE_ADMIN_URL_FILE"]).read_text(encoding="utf-8")
    owner = Path(of.settings["YETT_DATABASE_OWNER_URL_FILE"]).read_text(encoding="utf-8").strip()
    system = of.settings["YETT_DATABASE_SYSTEM_URL"]
    for url, fault in ((admin, "is a superuser"), (owner, "owns tables"), (system, "has BYPASSRLS")):
        started = yett("serve", "--config", of.config, env={**of.settings, "YETT_DATABASE_URL": url})
        _fails_to_start(started, sentence=fault)
        assert "Connect as yett_app" in started.err
    unseeing = {**of.settings, "YETT_DATABASE_SYSTEM_URL": of.settings["YETT_DATABASE_URL"]}
    _fails_to_start(yett("serve", "--config", of.config, env=unseeing), sentence="would see no tenant")


def test_a_database_that_is_down_is_4_and_its_password_stays_secret(copy_of: Copy) -> None:
    of = copy_of("postgresql")
    nowhere = "postgresql+psycopg://yett_app:hush-hush@127.0.0.1:9/yett"
    down = yett(
        "tenant",
        "list",
        "--config",
        of.config,
        env={"YETT_DATABASE_URL": nowhere, "YETT_DATABASE_SYSTEM_URL": nowhere.replace("yett_app", "yett_system")},
    )
    _fails_to_start(down, sentence="The database cannot be used")
    assert "hush" not in down.err


def test_the_demo_never_seeds_what_is_no_demo(copy_of: Copy, tmp_path: Path) -> None:
    """Its passwords are printed: they must not get into a real database, nor its file over a real configuration."""
    of = copy_of("sqlite")
    here = of.data
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.name == "yett.yaml"}
    refused = yett("demo", "--data", here)
    assert refused.code == 1
    assert "holds something that is no demo" in refused.err
    assert {path.name: path.read_bytes() for path in here.iterdir() if path.name == "yett.yaml"} == before
    assert of.rows("SELECT count(*) FROM users WHERE name = 'mallory'") == [(1,)]  # the fixture's own, and no second

    by_environment = {
        "YETT_DATABASE_URL": f"sqlite:///{here}/yett.db",
        "YETT_MASTER_KEY_FILE": str(here / "master.key"),
        "YETT_LISTEN": "0.0.0.0:18999",
    }
    for name, value in by_environment.items():
        refused = yett("demo", "--data", tmp_path / name, env={name: value})
        assert refused.code == 1, refused.err
        assert name in refused.err
    asked = {"YETT_FORWARD_AUTH__LISTEN": "0.0.0.0:18998", "YETT_FORWARD_AUTH__PEERS": "127.0.0.1"}
    refused = yett("demo", "--data", tmp_path / "asked", env=asked)
    assert refused.code == 1, refused.err
    assert "forward_auth.listen (YETT_FORWARD_AUTH__LISTEN) says 0.0.0.0:18998" in refused.err

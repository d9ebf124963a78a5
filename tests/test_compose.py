"""docker-compose.yml without a container engine: all that it names is there, and every setting is one."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.main import main
from gateway.settings import load
from gateway.settings.model import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Of the Compose Specification, those that this file is meant to use; a slip of the pen is none of them.
KNOWN = {
    "image", "build", "command", "environment", "secrets", "volumes", "ports", "depends_on", "healthcheck", "restart",
    "read_only", "tmpfs", "cap_drop", "security_opt",
}  # fmt: skip


def volumes(service: dict[str, Any]) -> list[list[str]]:
    return [entry.split(":") for entry in service["volumes"]]


def test_the_services_are_those_that_the_page_promises() -> None:
    assert SERVICES.keys() == {"database", "migrate", "yett", "prometheus", "grafana"}
    assert COMPOSE.keys() == {"name", "services", "volumes", "secrets"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= KNOWN
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    for source, target, *mode in volumes(service):
        assert target.startswith("/")
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
    for port in service.get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), "reachable from this machine alone"
    assert "@sha256" not in service["image"]


def test_every_volume_and_secret_is_used() -> None:
    used = {source for service in SERVICES.values() for source, *_ in volumes(service)}
    assert COMPOSE["volumes"].keys() <= used
    assert {name for service in SERVICES.values() for name in service.get("secrets", ())} == COMPOSE["secrets"].keys()
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", ["migrate", "yett"])
def test_variables_are_settings_and_secrets_come_from_files(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service["environment"].items():
        setting = variable.removeprefix("YETT_").removesuffix("_FILE").lower()
        assert setting in Settings.model_fields
        assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_passwords_stand_in_no_variable() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert not re.search(r"PASSWORD: ", text)
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_configuration_is_one_and_commands_exist(tmp_path: Path) -> None:
    files = {}
    for name in ("app", "system"):
        (tmp_path / name).write_text(f"postgresql+psycopg://yett_{name}:x@database/yett\n", encoding="utf-8")
        files["YETT_DATABASE_URL_FILE" if name == "app" else "YETT_DATABASE_SYSTEM_URL_FILE"] = str(tmp_path / name)
    settings = load(ROOT / "compose" / "yett.yaml", files)
    assert str(settings.management_listen) == "0.0.0.0:8081"
    command = SERVICES["migrate"]["command"]
    options = {opt for parameter in main.commands[command[0]].params for opt in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options


def test_prometheus_scrapes_the_management_listener_and_has_the_rules() -> None:
    found = yaml.safe_load((ROOT / "compose" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = found["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["yett:8081"]}]
    mounted = {target for _, target, *_ in volumes(SERVICES["prometheus"])}
    assert set(found["rule_files"]) <= mounted


def test_grafana_shows_the_dashboard_of_the_repository() -> None:
    mounted = {source: target for source, target, *_ in volumes(SERVICES["grafana"])}
    provider = yaml.safe_load((ROOT / "compose" / "grafana-dashboards.yaml").read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert mounted["./helm/monitoring/dashboard.json"].startswith(f"{folder}/")
    source = yaml.safe_load((ROOT / "compose" / "grafana-datasource.yaml").read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"

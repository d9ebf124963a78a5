"""The page, the alert rules and the dashboard name what there is, and the page leaves nothing out."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from gateway.metrics.page import metrics_router
from gateway.web import application
from tests.gateway.asgi import calling
from tests.gateway.world import World

_ROOT = Path(__file__).resolve().parents[3]
_NAME = re.compile(r"\b(?:yett|process)_[a-z_]+")


def _plain(name: str) -> str:
    return re.sub("_(total|bucket|sum|count)$", "", name)


async def _there(world: World) -> set[str]:
    families = world.service.metrics.read()
    async with calling(application(metrics_router(lambda: families))) as client:
        text = (await client.get("/metrics")).text
    return {_plain(line.split()[2]) for line in text.splitlines() if line.startswith("# TYPE")}


async def test_the_page_has_every_metric_with_its_type_and_labels_and_no_other(world: World) -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (_ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    said = {
        name: (kind, set(re.findall("`(.+?)`", labels)))
        for names, kind, labels, _ in rows
        for name in _NAME.findall(names)
    }
    assert set(said) == await _there(world)
    for family in world.service.metrics.read():
        assert said[family.name] == (family.kind, set(family.labels)), family.name


async def test_rules_and_dashboard_ask_for_metrics_that_there_are(world: World) -> None:
    rules = yaml.safe_load((_ROOT / "helm/monitoring/alerts.yaml").read_text(encoding="utf-8"))
    alerts: list[dict[str, Any]] = [rule for group in rules["groups"] for rule in group["rules"]]
    for alert in alerts:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["description"]
    board = json.loads((_ROOT / "helm/monitoring/dashboard.json").read_text(encoding="utf-8"))
    asked = [alert["expr"] for alert in alerts]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {_plain(name) for expression in asked for name in _NAME.findall(expression)}
    assert named <= await _there(world)
    documented = (_ROOT / "docs/security-review.md").read_text(encoding="utf-8")
    for kind in re.findall('type="(.+?)"', " ".join(asked)):
        assert f"`{kind}`" in documented, kind

"""Every scenario in one command: what it serves with, and what it asks locust for. The run is `make load-all`."""

from pathlib import Path

import load_all
import pytest

from gateway.settings import load


def test_the_gateway_that_it_starts_has_settings_in_order_and_trusts_the_load_generator(tmp_path: Path) -> None:
    config = tmp_path / "yett.yaml"
    text = load_all._CONFIG.format(port=8080, management=8081, data=tmp_path, upstream=9001)
    config.write_text(text, encoding="utf-8")

    assert [str(network) for network in load(config, {}).trusted_proxies] == ["127.0.0.0/8"]


def test_all_scenarios_are_run_as_long_as_was_asked_for_and_further_options_win() -> None:
    gateway = load_all.Gateway(8080, Path("accounts.jsonl"), Path("yett.log"))
    options = load_all._options(["--seconds", "30", "--", "--users", "7"])
    commands = [load_all._locust(path, gateway, options) for path in load_all.SCENARIOS]

    assert len(commands) == 10
    for path, command in zip(load_all.SCENARIOS, commands, strict=True):
        assert command[1:3] == ["--config", f"loadtests/scenarios/{path.name}"]
        assert command[command.index("--run-time") + 1] == "30s"
        assert command[command.index("--period") + 1] == "15"
        assert command[-2:] == ["--users", "7"]


@pytest.mark.parametrize("given", [["--seconds", "0"], ["--users", "1"], ["--only", "nothing"]])
def test_options_that_mean_nothing_are_usage(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load_all._options(given)

    assert ended.value.code == 2

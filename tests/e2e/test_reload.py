"""A gateway that runs takes another configuration at SIGHUP and from its file, and keeps its own for a broken one."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import YETT, environment
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.ports import free_port


@pytest.fixture
def gateway(copy_of: Copy) -> Iterator[Gateway]:
    of = copy_of("sqlite")
    running = Gateway(of, of.data.parent)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.close()
        running.discard()


def told(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    return [line for line in gateway.events() if line["event"] == event]


def until_told(gateway: Gateway, event: str, times: int = 1) -> dict[str, Any]:
    eventually(lambda: len(told(gateway, event)) >= times, within=15, what=f"{event}: {gateway.log}")
    return told(gateway, event)[times - 1]


def changed(path: Path, *pairs: tuple[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text


def digest_of(gateway: Gateway) -> str:
    return str(gateway.installation.does("policy", "check")["digest"])


def test_a_file_that_is_replaced_is_in_force_and_requests_go_on(gateway: Gateway) -> None:
    config = gateway.installation.config
    before = digest_of(gateway)
    assert told(gateway, "config_loaded")[0]["digest"] == before
    eventually(lambda: f"; configuration {before}\n" in gateway.log, within=15, what=f"the digest: {gateway.log}")
    token = gateway.token("bob")
    assert gateway.call("/orders/1", token).status_code == 200
    assert gateway.call("/orders/1", token, method="POST").status_code == 403

    finished = config.with_name("next.yaml")
    finished.write_text(changed(config, ('["orders:write"]', '["orders:read"]')), encoding="utf-8")
    finished.replace(config)
    line = until_told(gateway, "config_reloaded")
    assert (line["cause"], line["before"], line["digest"]) == ("file", before, digest_of(gateway))
    assert line["taken"] == ["routes"]
    assert gateway.call("/orders/1", token, method="POST").status_code == 200
    gateway.close()
    gateway.stop()


def test_sighup_reads_it_at_once_and_names_what_needs_a_restart(gateway: Gateway) -> None:
    config = gateway.installation.config
    text = changed(config, ("/public/**", "/open/**")) + "hashing: {iterations: 3}\n"
    config.write_text(text, encoding="utf-8")
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.call("/open/x").status_code == 200, within=15, what="the new route")
    assert gateway.call("/public/x").status_code == 404
    assert until_told(gateway, "config_needs_restart")["settings"] == ["hashing"]
    assert gateway.probes.get("/readyz").status_code == 200
    gateway.close()
    gateway.stop()


def test_a_broken_file_is_told_with_every_problem_and_changes_nothing(gateway: Gateway) -> None:
    config = gateway.installation.config
    good = config.read_text(encoding="utf-8")
    config.write_text(good.replace("require: anonymous", "require: everybody") + "limits: {pages: often}\n")
    line = until_told(gateway, "config_refused")
    assert [problem.rpartition("yett.yaml:")[2] for problem in line["problems"]] == [
        "15: routes[2].require: must be a mapping such as {scopes: [orders:read]}; only the whole of `require` may be "
        "`anonymous`",
        "25: limits.pages: must be a rate, as in 300/minute or 10/second;300/minute",
    ]
    assert gateway.call("/public/x").status_code == 200
    assert gateway.probes.get("/readyz").json()["status"] == "ok"
    gateway.process.send_signal(signal.SIGHUP)
    until_told(gateway, "config_refused", times=2)
    config.write_text(good.replace("/public/**", "/open/**"), encoding="utf-8")
    until_told(gateway, "config_reloaded")
    assert gateway.call("/open/x").status_code == 200
    assert len(told(gateway, "config_refused")) == 2
    gateway.close()
    gateway.terminate()
    assert gateway.process.wait(30) == 0


def test_the_access_log_is_opened_anew_at_sigusr1_and_whole_at_the_end(copy_of: Copy) -> None:
    of = copy_of("sqlite")
    path = of.data / "access.jsonl"
    gateway = Gateway(of, of.data.parent, YETT_ACCESS_LOG__FILE=str(path))

    def lines(of: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in of.read_text(encoding="utf-8").splitlines()] if of.exists() else []

    try:
        gateway.wait_until_ready()
        token = gateway.token("alice")
        answers = [gateway.call(f"/orders/{n}?code=s3cret", token) for n in range(3)]
        eventually(lambda: len(lines(path)) == 3, within=15, what="three lines")
        moved = path.rename(path.with_suffix(".1"))
        gateway.process.send_signal(signal.SIGUSR1)
        eventually(path.exists, within=15, what="the file to be made anew")
        answers.append(gateway.call("/orders/refused"))
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()
    found = [*lines(moved), *lines(path)]
    assert [line["request_id"] for line in found] == [answer.headers["x-request-id"] for answer in answers]
    assert [line["decision"] for line in found] == ["allow", "allow", "allow", "challenge"]
    assert {line["config"] for line in found} == {of.does("policy", "check")["digest"]}
    text = moved.read_text() + path.read_text()
    assert token.rpartition(".")[2] not in text
    assert "s3cret" not in text


def test_a_server_in_a_terminal_ends_with_it_and_reloads_while_it_is_there(copy_of: Copy) -> None:
    of = copy_of("sqlite")
    master, slave = pty.openpty()
    settings = {
        **of.settings,
        "YETT_LISTEN": f"127.0.0.1:{free_port()}",
        "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{free_port()}",
    }
    process = subprocess.Popen(
        [YETT, "serve", "--no-watch", "--config", of.config],
        env=environment(settings),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        said = b""

        def until(text: bytes) -> None:
            nonlocal said
            while text not in said:
                said += os.read(master, 65536)

        until(b"yett serves ")
        process.send_signal(signal.SIGHUP)
        until(b"config_reloaded")
        assert process.poll() is None
        os.close(master)
        master = -1
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    finally:
        if master >= 0:
            os.close(master)
        if process.poll() is None:
            process.kill()
            process.wait(30)

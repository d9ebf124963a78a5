"""A gateway that ends TLS itself: two hosts with a certificate each, which are replaced while it is used."""

import json
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server.certificates import Pair
from tests.e2e.command import yett
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API, IDENTITY, Installation
from tests.e2e.recording_upstream import RecordingUpstream
from tests.e2e.server_process import PASSWORD
from tests.gateway.server.pki import Authority, serial

REPLACED = 2000


@dataclass
class Encrypted:
    """A gateway with TLS on both listeners, and its authority."""

    gateway: Gateway
    authority: Authority

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.gateway.port}",
            verify=self.authority.client(),
            trust_env=False,
            timeout=30,
        )

    def ask(self, client: httpx.Client, host: str, path: str, *, sni: str | None = None, **more: Any) -> httpx.Response:
        """One request; ``sni`` is the server name in the handshake, where it isn't the host."""
        headers = {"Host": host, **more.pop("headers", {})}
        method = "POST" if "data" in more else "GET"
        return client.request(method, path, headers=headers, extensions={"sni_hostname": sni or host}, **more)


def shown(answer: httpx.Response) -> int:
    """The serial number of the certificate that this answer came under."""
    connection: ssl.SSLObject = answer.extensions["network_stream"].get_extra_info("ssl_object")
    return serial(connection)


def setting(*pairs: Any) -> str:
    return json.dumps([{"certificate_file": str(pair.certificate), "key_file": str(pair.key)} for pair in pairs])


@pytest.fixture(scope="module")
def encrypted(copy_of: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    first = authority.issue("identity", IDENTITY, serial=1001)
    second = authority.issue("api", "*.example.com", "localhost", serial=1002)
    of = copy_of("sqlite")
    gateway = Gateway(
        of,
        of.data.parent,
        YETT_TLS__CERTIFICATES=setting(first, second),
        YETT_MANAGEMENT_TLS__CERTIFICATES=setting(second),
    )
    gateway.probes.close()
    gateway.probes = httpx.Client(
        base_url=f"https://localhost:{gateway.management_port}", verify=authority.client(), trust_env=False
    )
    try:
        gateway.wait_until_ready()
        yield Encrypted(gateway, authority)
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()


def test_each_host_is_shown_its_own_certificate_and_works_as_ever(
    encrypted: Encrypted, upstream: RecordingUpstream
) -> None:
    with encrypted.client() as client:
        found = encrypted.ask(client, IDENTITY, "/t/acme/.well-known/openid-configuration")
        assert (found.status_code, shown(found)) == (200, 1001)
        assert found.json()["issuer"] == f"https://{IDENTITY}/t/acme"
        assert found.headers["strict-transport-security"] == "max-age=31536000"
        form = {"grant_type": "password", "username": "alice", "password": PASSWORD}
        token = encrypted.ask(client, IDENTITY, "/t/acme/token", data=form).json()["access_token"]
    upstream.clear()
    with encrypted.client() as client:
        answer = encrypted.ask(client, API, "/orders/1", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, shown(answer)) == (200, 1002)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    (request,) = upstream.requests
    assert request.values("x-forwarded-proto") == ["https"]
    assert request.values("x-yett-tenant") == ["acme"]


def test_a_host_is_not_served_under_the_certificate_of_another(encrypted: Encrypted) -> None:
    with encrypted.client() as client:
        answer = encrypted.ask(client, API, "/public/x", sni=IDENTITY)
        assert (answer.status_code, shown(answer)) == (421, 1001)
        assert answer.json()["code"] == "misdirected_request"
        kept = encrypted.ask(client, IDENTITY, "/t/acme/jwks")  # the connection is good for its own host
        assert (kept.status_code, shown(kept)) == (200, 1001)


def test_the_probes_answer_over_tls(encrypted: Encrypted) -> None:
    assert encrypted.gateway.probes.get("/livez").status_code == 200


def test_plain_http_is_closed_without_an_answer(encrypted: Encrypted) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{encrypted.gateway.port}/public/x", headers={"Host": API}, trust_env=False)


class Load(threading.Thread):
    """Requests one after the other, on a kept connection or each on its own, until it is told to stop."""

    def __init__(self, encrypted: Encrypted, *, kept: bool) -> None:
        super().__init__(name="load")
        self._encrypted, self._kept = encrypted, kept
        self._stopped = threading.Event()
        self.answers: list[tuple[int, int]] = []
        self.failures: list[Exception] = []

    def run(self) -> None:
        client = self._encrypted.client()
        try:
            while not self._stopped.is_set():
                answer = self._encrypted.ask(client, API, "/public/x")
                self.answers.append((answer.status_code, shown(answer)))
                if not self._kept:
                    client.close()
                    client = self._encrypted.client()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test wants none
            self.failures.append(error)
        finally:
            client.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def test_a_certificate_is_replaced_under_load_and_no_request_fails(encrypted: Encrypted) -> None:
    loads = [Load(encrypted, kept=True), Load(encrypted, kept=False), Load(encrypted, kept=False)]
    for load in loads:
        load.start()
    try:
        eventually(lambda: all(load.answers or load.failures for load in loads), within=30, what="a first answer each")
        encrypted.authority.issue("next", "*.example.com", "localhost", serial=REPLACED)
        for suffix in ("pem", "key"):
            os.replace(encrypted.authority.folder / f"next.{suffix}", encrypted.authority.folder / f"api.{suffix}")
        eventually(
            lambda: all(load.failures or load.answers[-1][1] == REPLACED for load in loads[1:]),
            within=30,
            what="the new certificate",
        )
    finally:
        for load in loads:
            load.stop()
    assert [load.failures for load in loads] == [[], [], []]
    assert {status for load in loads for status, _ in load.answers} == {200}
    assert {number for _, number in loads[0].answers} == {1002}  # its connection has lasted
    assert {number for load in loads[1:] for _, number in load.answers} == {1002, REPLACED}


def test_another_list_of_certificates_comes_with_a_reload(copy_of: Copy, tmp_path: Path) -> None:
    authority, of = Authority(tmp_path), copy_of("sqlite")
    both = authority.issue("a", IDENTITY, API, serial=3001), authority.issue("b", API, serial=3002)
    text = of.config.read_text(encoding="utf-8")

    def writes(*pairs: Pair) -> None:
        finished = of.config.with_name("next.yaml")
        finished.write_text(f"{text}tls: {{certificates: {setting(*pairs)}}}\n", encoding="utf-8")
        finished.replace(of.config)

    writes(both[0])
    gateway = Gateway(of, of.data.parent)

    def told(event: str) -> list[dict[str, Any]]:
        return [line for line in gateway.events() if line["event"] == event]

    encrypted = Encrypted(gateway, authority)
    try:
        gateway.wait_until_ready()
        with encrypted.client() as client:
            assert shown(encrypted.ask(client, API, "/public/x")) == 3001
            writes(both[0], authority.pair("missing"))
            eventually(lambda: told("config_refused"), within=15, what="a refusal")
            writes(both[1], both[0])
            eventually(lambda: told("config_reloaded"), within=15, what="a reload")
            assert shown(encrypted.ask(client, API, "/public/x")) == 3001  # its connection has lasted
        with encrypted.client() as client:
            assert shown(encrypted.ask(client, API, "/public/x")) == 3002
        assert told("config_reloaded")[0]["taken"] == ["tls"]
        assert "missing.pem cannot be read" in told("config_refused")[0]["problems"][0]
        gateway.close()
        gateway.terminate()
        assert gateway.process.wait(30) == 0
    finally:
        gateway.close()
        gateway.discard()


def refused(of: Installation, **settings: str) -> tuple[int, str]:
    result = yett("serve", "--config", of.config, env={**of.settings, **settings})
    return result.code, result.err


def test_a_start_with_a_key_of_another_certificate_is_refused_with_a_sentence(copy_of: Copy, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, other = authority.issue("a", IDENTITY), authority.issue("b", API)
    mixed = json.dumps([{"certificate_file": str(pair.certificate), "key_file": str(other.key)}])
    code, said = refused(copy_of("sqlite"), YETT_TLS__CERTIFICATES=mixed)
    assert code == 4
    sentence = f"The key in {other.key} does not belong to the certificate in {pair.certificate}."
    assert said.splitlines()[-1] == f"yett: {sentence}"


def test_a_start_with_a_certificate_for_nobody_warns(copy_of: Copy, tmp_path: Path) -> None:
    of = copy_of("sqlite")
    pair = Authority(tmp_path).issue("a", IDENTITY)
    gateway = Gateway(of, of.data.parent, YETT_TLS__CERTIFICATES=setting(pair))
    try:
        gateway.wait_until_ready()
        told = [event for event in gateway.events() if event["event"] == "tls_name_not_covered"]
        assert [event["host"] for event in told] == [API]
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()

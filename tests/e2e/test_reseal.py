"""The move to another master key as an operator makes it, while people log in, show codes and refresh."""

import signal

import pytest

from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.enrolled import enrolled
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway


class Walk:
    """The gateway, its key file, and somebody with an authenticator."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.here = gateway, gateway.installation
        self.file = self.here.data / "master.key"
        self.phone = enrolled(self.here, "acme", "alice")
        self.asked = self.gateway.login("bob")
        self.reloads = 0

    def ring(self, *lines: str) -> None:
        """Write the file and have it read."""
        self.file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self.gateway.process.send_signal(signal.SIGHUP)
        self.reloads += 1
        eventually(
            lambda: sum(line["event"] == "config_reloaded" for line in self.gateway.events()) == self.reloads,
            within=15,
            what=f"the reload: {self.gateway.log}",
        )

    def goes_on(self) -> None:
        """A login with a password, and a refresh of the one that began before all of this."""
        token = self.gateway.login("bob")["access_token"]
        assert self.gateway.call("/orders/1", token).status_code == 200
        answer = self.gateway.ask_token(
            grant_type="refresh_token", client_id="demo-app", refresh_token=self.asked["refresh_token"]
        )
        assert answer.status_code == 200, answer.text
        self.asked = answer.json()

    def shows_a_code(self) -> None:
        first = self.gateway.ask_token(
            grant_type="password", client_id="demo-app", username="alice", password="correct horse battery staple"
        )
        assert first.json()["error"] == "mfa_required"
        second = self.gateway.ask_token(
            grant_type="urn:yett:params:oauth:grant-type:mfa-otp",
            client_id="demo-app",
            mfa_token=first.json()["mfa_token"],
            otp=self.phone.code(),
        )
        assert second.status_code == 200, second.text


@pytest.mark.parametrize("database", DATABASES)
def test_a_new_master_key_takes_over_while_the_service_runs(copy_of: Copy, database: str) -> None:
    of = copy_of(database)
    gateway = Gateway(of, of.data.parent)
    try:
        gateway.wait_until_ready()
        walk = Walk(gateway)
        (old,) = [line for line in walk.file.read_text().splitlines() if not line.startswith("#")]
        made = of.does("key", "new-master")
        new, new_id, old_id = made["line"], made["id"], old.split()[0]

        walk.file.write_text(f"{new}\n{old}\n", encoding="ascii")  # no process has been told
        if database == "postgresql":
            assert f"1 serving processes do not have the master key {new_id}" in of.run("key", "reseal").err
        walk.ring(old, new)
        walk.shows_a_code()
        walk.ring(new, old)
        walk.goes_on()
        if database == "postgresql":
            eventually(lambda: of.run("key", "reseal").code == 0, within=15, what="every process has the key")
        else:
            said = of.does("key", "reseal", "--dry-run")
            assert (said["resealed"]["totp_factors.sealed_secret"], said["unopened"]) == (1, 0)
            assert of.run("key", "reseal", "--check").code == 1
            assert of.does("key", "reseal")["left"] == {}
        told = of.does("audit", "list", "--tenant", "platform", "--limit", "10")
        assert new_id in {event["details"]["master_key"] for event in told if event["type"] == "master_key.resealed"}
        eventually(lambda: of.run("key", "reseal", "--check").code == 0, within=15, what="the old key may go")
        keys = {row["key"]: (row["ring"], row["rows"], row["removable"]) for row in of.does("key", "reseal", "--check")}
        assert keys[old_id] == ("opens", 0, True)

        walk.ring(new)
        walk.shows_a_code()
        walk.goes_on()
        assert gateway.probes.get("/readyz").status_code == 200
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()

"""Tenants and users for a load test: they are there, can log in at once, and are written for their owner alone."""

import json
from pathlib import Path

import pyotp
import pytest
from seed import Wanted, main, seed

from gateway.cli.errors import Refused
from gateway.installation import hashing_pool, open_installation
from gateway.settings import Settings, load
from tenants import migrate
from tenants.hashing import Verified
from tenants.sealing import MasterKeys

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Of an installation without a tenant."""
    config = tmp_path / "yett.yaml"
    upstream = '{targets: ["http://127.0.0.1:9"], audience: "http://127.0.0.1:8080"}'
    text = f"public_url: http://localhost:8080\ndata_dir: {tmp_path}\nupstreams: {{echo: {upstream}}}\n"
    config.write_text(text, encoding="utf-8")
    found = load(config, {})
    MasterKeys.create(found.master_key_file)
    await migrate.upgrade(found.database_url.get_secret_value())
    return found


def wanted(prefix: str = "load") -> Wanted:
    """Two tenants of three users."""
    scopes = frozenset({"orders:read"})
    return Wanted(prefix, 2, 3, 1, "demo-app", "http://127.0.0.1:9000/callback", scopes)


async def test_everybody_is_made_and_can_log_in_at_once(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "accounts.jsonl"
    await seed(settings, wanted(), PASSWORD, out)

    accounts = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    names = [(account["tenant"], account["username"]) for account in accounts]
    assert sorted(names) == [(f"load-{tenant}", f"user-{user}") for tenant in range(2) for user in range(3)]
    assert sum("totp_secret" in account for account in accounts) == 2
    assert out.stat().st_mode & 0o777 == 0o600
    async with open_installation(settings) as installation, hashing_pool(settings, helpers=1) as hashing:
        for account in accounts:
            tenant = await installation.directory.find(account["tenant"])
            assert tenant is not None
            async with installation.store.for_tenant(tenant.id) as store:
                user = await store.users.by_login(account["username"])
                assert user is not None
                stored = await store.credentials.password(user.id)
                assert await store.factors.has_any(user.id) == ("totp_secret" in account)
                if "totp_secret" in account:
                    code = pyotp.TOTP(account["totp_secret"]).at(int(installation.clock().timestamp()))
                    assert await store.factors.redeem(user.id, code) is not None
                client = await store.clients.get("demo-app")
                assert client is not None
                assert client.audiences == ("http://127.0.0.1:8080",)
        assert stored is not None
        assert isinstance(await hashing.verify(stored.hash, PASSWORD), Verified)


async def test_what_is_there_already_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    await seed(settings, wanted(), PASSWORD, tmp_path / "first")

    with pytest.raises(Refused, match="there is a tenant 'load-0' already"):
        await seed(settings, wanted(), PASSWORD, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    with pytest.raises(Refused, match="first cannot be made: File exists"):
        await seed(settings, wanted("other"), PASSWORD, tmp_path / "first")


@pytest.mark.parametrize(
    ("password", "reason"), [("short", "password_too_short"), ("password1234567", "password_common")]
)
async def test_a_password_that_nobody_may_set_is_refused(
    settings: Settings, tmp_path: Path, password: str, reason: str
) -> None:
    with pytest.raises(Refused, match=f"LOAD_PASSWORD may not be set as a password: {reason}"):
        await seed(settings, wanted(), password, tmp_path / "accounts")
    assert not (tmp_path / "accounts").exists()


@pytest.mark.parametrize(
    "options", [["--tenants", "0"], ["--users", "1", "--totp", "2"], ["--data", "x", "--config", "y"]]
)
def test_options_that_mean_nothing_are_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--data", "nowhere", "--out", "nowhere", *options])

    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err

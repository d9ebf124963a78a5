"""A tenant moves from SQLite to PostgreSQL and the other way while its new home serves others, as operators do it."""

import json
from pathlib import Path

import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.enrolled import enrolled
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation
from tests.e2e.server_process import PASSWORD

PASSPHRASE = "a passphrase of some length\n"


@pytest.fixture(scope="module")
def source(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def logs_in_with_a_code(gateway: Gateway, tenant: str, otp: str) -> None:
    app = {"client_id": "demo-app"}
    first = gateway.ask_token(tenant, grant_type="password", username="alice", password=PASSWORD, **app).json()
    assert first["error"] == "mfa_required"
    grant = "urn:yett:params:oauth:grant-type:mfa-otp"
    second = gateway.ask_token(tenant, grant_type=grant, mfa_token=first["mfa_token"], otp=otp, **app)
    assert second.status_code == 200, second.text


def test_people_and_machines_go_on_in_the_other_database(own_gateway: Gateway, copy_of: Copy, tmp_path: Path) -> None:
    home = own_gateway.installation
    before = copy_of(next(name for name in DATABASES if (name == "sqlite") is (home.admin_url is not None)))
    before.does("tenant", "create", "moving")
    before.does("role", "create", "--tenant", "moving", "reader", "orders:read")
    for name in ("alice", "bob"):
        said = ("user", "create", "--tenant", "moving", name, "--role", "reader", "--password-stdin")
        before.does(*said, stdin=PASSWORD + "\n")
    scope = ("--scope", "orders:read", "--default-scope", "orders:read")
    audience = ("--audience", "https://api.example.com/orders")
    grants = ("--grant", "password", "--grant", "refresh_token")
    before.does("client", "create", "--tenant", "moving", "demo-app", "--default", *grants, *scope, *audience)
    jobs = ("client", "create", "--tenant", "moving", "jobs", "--confidential", "--grant", "client_credentials")
    secret = before.does(*jobs, *scope, *audience)["secret"]
    phone, file = enrolled(before, "moving", "alice"), tmp_path / "moving.jsonl"
    kids = [key["kid"] for key in before.does("key", "list", "--tenant", "moving")]

    before.does(*("tenant", "export", "moving", "--keys", "--out", file, "--passphrase-stdin"), stdin=PASSPHRASE)
    assert file.stat().st_mode & 0o777 == 0o600
    event = last_event(before, "moving")
    assert (event["type"], event["details"]["keys"]) == ("tenant.exported", True)
    made = home.does("tenant", "import", file, "--passphrase-stdin", stdin=PASSPHRASE)
    assert made["counts"] == {"role": 1, "client": 2, "user": 2, "key": 2}
    told = home.does("audit", "list", "--tenant", "moving", "--limit", "9")
    assert [one["type"] for one in told] == ["tenant.created", "tenant.imported"]
    assert last_event(home, "platform")["details"] == told[1]["details"]
    assert [key["kid"] for key in home.does("key", "list", "--tenant", "moving")] == kids

    eventually(lambda: own_gateway.identity.get("/t/moving/jwks").status_code == 200, within=15, what="the tenant")
    token = own_gateway.login("bob", "moving")["access_token"]
    assert own_gateway.call("/orders/1", token).status_code == 200
    logs_in_with_a_code(own_gateway, "moving", phone.code())
    answer = own_gateway.identity.post(
        "/t/moving/token", data={"grant_type": "client_credentials"}, auth=("jobs", secret)
    )
    assert answer.status_code == 200, answer.text
    assert own_gateway.login("bob")["access_token"], "nobody else has noticed"


def test_a_second_tenant_is_made_beside_the_first(source: Installation, tmp_path: Path) -> None:
    file = tmp_path / "acme.jsonl"
    source.does("tenant", "export", "acme", "--out", file, "--without-secrets")
    assert "sealed" not in file.read_text(encoding="utf-8")
    refused(source, "tenant", "import", file, says="tenant 'acme' exists already")
    refused(source, "tenant", "import", file, "--slug", "platform", says="reserved")
    refused(source, "tenant", "import", file, "--slug", "Acme", says="is not a slug")
    refused(source, "tenant", "export", "platform", "--out", file, "--without-secrets", says="stays where it is")
    dry = source.does("tenant", "import", file, "--slug", "twin", "--dry-run")
    assert (dry["issuer"], dry["counts"]["user"]) == ("https://auth.example.com/t/twin", 3)
    said = source.run("tenant", "import", file, "--slug", "twin")
    assert said.code == 0, said.err
    assert "its issuer was https://auth.example.com/t/acme and is https://auth.example.com/t/twin now" in said.err
    assert "this one gets an id of its own" in said.err
    own, other = (source.does("tenant", "show", slug) for slug in ("acme", "twin"))
    assert own["id"] != other["id"]
    keys = [{key["kid"] for key in source.does("key", "list", "--tenant", slug)} for slug in ("acme", "twin")]
    assert keys[0].isdisjoint(keys[1])


def test_a_faulty_file_is_told_line_by_line_and_writes_nothing(source: Installation, tmp_path: Path) -> None:
    file = tmp_path / "acme.jsonl"
    source.does("tenant", "export", "acme", "--out", file, "--passphrase-stdin", stdin=PASSPHRASE)
    refused(
        *(source, "tenant", "import", file, "--slug", "x", "--passphrase-stdin"),
        stdin="another passphrase\n",
        says="not the passphrase",
    )
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    refused(source, "tenant", "import", file, "--slug", "x", "--passphrase-stdin", stdin=PASSPHRASE, says="has no end")
    source.does("tenant", "export", "acme", "--out", file, "--without-secrets")
    text = file.read_text(encoding="utf-8")
    assert text.count('"roles":["reader"]') == 1
    file.write_text(text.replace('"roles":["reader"]', '"roles":["king"]'), encoding="utf-8")
    refused(source, "tenant", "import", file, "--slug", "x", says="the file was changed or damaged")
    assert {tenant["slug"] for tenant in source.does("tenant", "list")} >= {"acme"}
    assert source.run("tenant", "show", "x").code == 1
    assert json.loads(lines[0])["yett_tenant_export"] == 1

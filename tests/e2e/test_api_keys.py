"""``yett api-key`` and the keys on a running gateway: one made in another process works, one revoked does not."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import AUDIENCE, Installation

WITHIN = 1.0
_ACME = ("--tenant", "acme")
_READS = ("--scope", "orders:read", "--audience", AUDIENCE)
_ROUTE = """\
  - name: machines
    match: {path: /machines/**}
    require: {scopes: ["orders:read"]}
    api_keys: allow
    upstream: orders
"""


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


@pytest.fixture(scope="module", params=DATABASES)
def served(request: pytest.FixtureRequest, copy_of: Copy) -> Iterator[Gateway]:
    """A gateway with a route that takes keys."""
    of = copy_of(request.param)
    of.config.write_text(of.config.read_text(encoding="utf-8") + _ROUTE, encoding="utf-8")
    running = Gateway(of, of.data.parent)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.close()
        running.discard()


def _create(here: Installation, *options: str, tenant: str = "acme") -> dict[str, str]:
    made: dict[str, str] = here.does("api-key", "create", "--tenant", tenant, "--name", "Scanner", *_READS, *options)
    return made


def test_a_key_is_made_listed_shown_and_revoked(here: Installation) -> None:
    made = _create(here)
    text = made.pop("api_key")
    assert text.startswith("yak_")
    assert (made["name"], made["state"], made["scopes"], made["audiences"]) == (
        "Scanner",
        "active",
        ["orders:read"],
        [AUDIENCE],
    )
    assert (made["revoked_at"], made["last_used_at"]) == (None, None)
    lived = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lived == timedelta(days=365)
    created = last_event(here)
    assert (created["type"], created["outcome"]) == ("api_key.created", "success")
    assert created["details"] == {
        "api_key": made["id"],
        "name": "Scanner",
        "scopes": ["orders:read"],
        "audiences": [AUDIENCE],
        "expires_at": made["expires_at"],
    }
    assert here.does("api-key", "show", *_ACME, made["id"]) == made
    assert made in here.does("api-key", "list", *_ACME)
    assert made not in here.does("api-key", "list", "--tenant", "globex")
    assert here.does("api-key", "revoke", *_ACME, made["id"])["state"] == "revoked"
    told = last_event(here)
    assert (told["type"], told["details"]) == ("api_key.revoked", {"api_key": made["id"], "name": "Scanner"})
    shown = here.does("api-key", "show", *_ACME, made["id"])
    assert (shown["state"], shown["revoked_at"] is None) == ("revoked", False)
    refused(here, "api-key", "revoke", *_ACME, made["id"], says="revoked already")
    assert last_event(here) == told
    said = here.run("api-key", "list", *_ACME).out + here.run("audit", "list", *_ACME).out
    assert text not in said
    assert made["id"] in said


def test_only_a_key_that_is_to_last_for_ever_does(here: Installation) -> None:
    assert _create(here, "--expires", "never")["expires_at"] is None
    brief = _create(here, "--expires", "90s")
    lived = datetime.fromisoformat(brief["expires_at"]) - datetime.fromisoformat(brief["created_at"])
    assert lived == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", *_ACME, "--name", "n", "--scope", "a"), "--audience"),
        (("create", *_ACME, "--name", "n", "--audience", AUDIENCE), "--scope"),
        (("create", *_ACME, *_READS), "--name"),
        (("create", *_ACME, "--name", "n", *_READS, "--expires", "soon"), "must be a duration"),
        (("create", *_ACME, "--name", "n", *_READS, "--expires", "0.5d"), "must be a duration"),
        (("show", *_ACME, "not-an-id"), "not a valid UUID"),
    ],
)
def test_what_is_malformed_is_a_usage_error(here: Installation, arguments: tuple[str, ...], says: str) -> None:
    result = here.run("api-key", *arguments)
    assert result.code == 2
    assert says in result.err


def test_what_cannot_be_done_is_refused_with_a_sentence(here: Installation) -> None:
    nobody = "0f8fad5b-d9cb-469f-a165-70867728950e"
    theirs = _create(here, tenant="globex")["id"]
    for key_id in (nobody, theirs):
        for verb in ("show", "revoke"):
            refused(here, "api-key", verb, *_ACME, key_id, says=f"there is no API key {key_id} in acme")
    create = ("api-key", "create", *_ACME, "--name", "n")
    refused(here, *create, "--scope", "a", "--audience", "orders", says="is not an audience")
    refused(here, *create, *_READS, "--expires", "4000d", says="within 3653 days")
    refused(here, *create, *_READS, "--expires", "0s", says="within 3653 days")


def _call(served: Gateway, path: str, key: str, **more: object) -> httpx.Response:
    return served.call(path, key, **more)


def test_a_key_works_a_poll_after_it_was_made_and_not_a_second_after_it_was_revoked(served: Gateway) -> None:
    made = _create(served.installation)
    key = made["api_key"]
    eventually(lambda: _call(served, "/machines/7", key).status_code == 200, within=WITHIN, what="the key is known")
    answer = _call(served, "/machines/7", key)
    seen = dict(answer.json()["headers"])
    assert (seen["x-yett-tenant"], seen["x-yett-subject"], seen["x-yett-scopes"]) == (
        "acme",
        f"key/{made['id']}",
        "orders:read",
    )
    assert "x-yett-client" not in seen
    assert key not in answer.text
    unknown = _call(served, "/orders/7", "yak_" + "A" * 64)
    for other in (key, key[:-1], key.swapcase()):
        elsewhere = _call(served, "/orders/7", other)
        assert elsewhere.status_code == 401
        assert elsewhere.headers["www-authenticate"] == unknown.headers["www-authenticate"]
        assert {**elsewhere.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    served.installation.does("api-key", "revoke", *_ACME, made["id"])
    eventually(lambda: _call(served, "/machines/7", key).status_code == 401, within=WITHIN, what="it is revoked")

    def told() -> list[dict[str, object]]:
        events = served.installation.does("audit", "list", *_ACME, "--limit", "20")
        return [event for event in events if event.get("reason") == "api_key_revoked"]

    [event, *_] = eventually(told, within=5, what="the refusal is in the tenant's log")
    assert event["details"] == {"api_key": made["id"]}
    assert key not in json.dumps(served.installation.does("audit", "list", *_ACME))


def test_a_suspended_tenants_keys_are_out_and_come_back(served: Gateway) -> None:
    ours, theirs = _create(served.installation), _create(served.installation, tenant="globex")
    keys = ours["api_key"], theirs["api_key"]

    def statuses() -> list[int]:
        return [_call(served, "/machines/7", key).status_code for key in keys]

    eventually(lambda: statuses() == [200, 200], within=WITHIN, what="both are known")
    served.installation.does("tenant", "disable", "globex")
    eventually(lambda: statuses() == [200, 401], within=WITHIN, what="globex is out")
    served.installation.does("tenant", "enable", "globex")
    eventually(lambda: statuses() == [200, 200], within=WITHIN, what="globex is back")


def test_when_a_key_was_used_last_is_known_after_the_gateway_has_ended(served: Gateway) -> None:
    used, unused = _create(served.installation), _create(served.installation)
    eventually(lambda: _call(served, "/machines/7", used["api_key"]).status_code == 200, within=WITHIN, what="known")
    served.stop()
    shown = served.installation.does("api-key", "show", *_ACME, used["id"])
    assert shown["last_used_at"] >= used["created_at"]
    assert served.installation.does("api-key", "show", *_ACME, unused["id"])["last_used_at"] is None

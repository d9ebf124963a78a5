"""``yett tenant change-issuer`` and ``create --issuer``: which issuers a tenant may have, and what a change leaves."""

from datetime import datetime, timedelta

import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation

OWN, NEXT, SHARED = "https://login.acme.example", "https://id.acme.example", "https://auth.example.com/t/acme"


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


@pytest.fixture
def fresh(copy_of: Copy) -> Installation:
    return copy_of("sqlite")


def _until(said: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(said["until"]) - datetime.now().astimezone()


def test_an_issuer_is_changed_with_an_overlap_and_told_of(fresh: Installation) -> None:
    said = fresh.does("tenant", "change-issuer", "acme", "--to", OWN)
    assert said["issuer"] == OWN
    assert timedelta(hours=23, minutes=58) < _until(said) <= timedelta(hours=24)
    shown = fresh.does("tenant", "show", "acme")
    assert shown["issuer"] == OWN
    assert shown["former_issuers"] == [f"{SHARED} until {said['until']}"]
    event = last_event(fresh)
    assert (event["type"], event["outcome"]) == ("tenant.issuer_changed", "success")
    assert event["actor"].startswith("cli:")
    assert event["details"] == {"from": SHARED, "to": OWN, "until": said["until"]}

    said = fresh.does("tenant", "change-issuer", "acme", "--to", NEXT, "--overlap", "2h")
    assert timedelta(hours=1, minutes=58) < _until(said) <= timedelta(hours=2)
    assert len(fresh.does("tenant", "show", "acme")["former_issuers"]) == 2
    back = fresh.does("tenant", "change-issuer", "acme", "--to", "default")
    assert back["issuer"] == SHARED
    former = fresh.does("tenant", "show", "acme")["former_issuers"]
    assert sorted(one.split(" ")[0] for one in former) == [NEXT, OWN]


def test_an_overlap_that_runs_is_ended_by_the_issuer_that_there_is(fresh: Installation) -> None:
    fresh.does("tenant", "change-issuer", "acme", "--to", OWN)
    refused(fresh, "tenant", "change-issuer", "acme", "--to", OWN, says="is the issuer of acme already")
    said = fresh.does("tenant", "change-issuer", "acme", "--to", OWN, "--overlap", "0s")
    assert _until(said) <= timedelta()
    event = last_event(fresh)
    assert event["type"] == "tenant.overlap_changed"
    assert event["details"] == {"former": [SHARED], "until": said["until"]}
    again = ("tenant", "change-issuer", "acme", "--to", OWN, "--overlap", "1h")
    refused(fresh, *again, says="no overlap is to be ended")


def test_a_tenant_is_made_with_a_host_of_its_own(fresh: Installation) -> None:
    made = fresh.does("tenant", "create", "initech", "--issuer", "https://login.initech.example")
    assert made["issuer"] == "https://login.initech.example"
    assert last_event(fresh, "initech")["details"]["issuer"] == "https://login.initech.example"
    client = fresh.does("client", "create", "--tenant", "initech", "app", "--grant", "password")
    assert client["audiences"] == ["https://login.initech.example"]


@pytest.mark.parametrize(
    ("issuer", "says"),
    [
        ("https://login.acme.example/", "with nothing behind it"),
        ("https://login.acme.example:8443", "with nothing behind it"),
        ("https://Login.acme.example", "in lower case"),
        ("http://login.acme.example", "has to be https://"),
        ("https://127.0.0.1", "is an address, not a name"),
        ("https://localhost", "names this computer"),
        ("https://auth.example.com/t/globex", "the one below public_url is https://auth.example.com/t/"),
        ("https://auth.example.com", "stands in public_url"),
        ("https://api.example.com", "stands in api_hosts"),
    ],
)
def test_what_is_no_own_host_is_refused(here: Installation, issuer: str, says: str) -> None:
    refused(here, "tenant", "change-issuer", "acme", "--to", issuer, says=says)
    refused(here, "tenant", "create", "initech", "--issuer", issuer, says=says)
    assert here.does("tenant", "show", "acme")["issuer"] == SHARED


def test_another_tenants_host_is_refused_until_nobody_is_served_there(fresh: Installation) -> None:
    fresh.does("tenant", "change-issuer", "acme", "--to", OWN)
    for command in (("change-issuer", "globex", "--to"), ("create", "initech", "--issuer")):
        refused(fresh, "tenant", *command, OWN, says=f"{OWN!r} is the issuer of the tenant 'acme'")
    fresh.does("tenant", "change-issuer", "acme", "--to", NEXT)
    refused(fresh, "tenant", "change-issuer", "globex", "--to", OWN, says="or was it and is still accepted")
    fresh.does("tenant", "change-issuer", "acme", "--to", NEXT, "--overlap", "0s")
    assert fresh.does("tenant", "change-issuer", "globex", "--to", OWN)["issuer"] == OWN
    refused(fresh, "tenant", "change-issuer", "acme", "--to", OWN, says="is the issuer of the tenant 'globex'")


@pytest.mark.parametrize("overlap", ["91d", "2161h"])
def test_an_overlap_has_an_end(here: Installation, overlap: str) -> None:
    refused(here, "tenant", "change-issuer", "acme", "--to", OWN, "--overlap", overlap, says="lasts at most 90d")


@pytest.mark.parametrize(("options", "says"), [(("--overlap", "1w"), "must be a duration"), ((), "Missing option")])
def test_what_is_malformed_is_wrong_usage(here: Installation, options: tuple[str, ...], says: str) -> None:
    target = ("--to", OWN) if options else ()
    result = here.run("tenant", "change-issuer", "acme", *target, *options)
    assert (result.code, result.out) == (2, "")
    assert says in " ".join(result.err.split())


def test_a_tenant_that_is_not_there_is_refused(here: Installation) -> None:
    refused(here, "tenant", "change-issuer", "nobody", "--to", OWN, says="there is no tenant 'nobody'")

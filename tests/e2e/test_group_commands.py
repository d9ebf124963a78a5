"""``yett group`` and ``yett job`` as a process."""

import json

import pytest

from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation
from tests.e2e.server_process import PASSWORD

_ACME = ("--tenant", "acme")


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    made = copy_of("sqlite")
    made.does("role", "create", *_ACME, "night-reader", "orders:night")
    return made


def _refusal(here: Installation, *arguments: str) -> str:
    result = here.run(*arguments, "--json")
    assert (result.code, result.out) == (1, "")
    return str(json.loads(result.err)["message"])


def test_a_group_lives_and_its_members_have_what_it_carries(here: Installation) -> None:
    made = here.does("group", "create", *_ACME, "night", "--description", "At night", "--role", "night-reader")
    assert (made["name"], made["description"], made["roles"]) == ("night", "At night", ["night-reader"])
    user = ("user", "create", *_ACME, "nils", "--group", "night", "--password-stdin")
    nils = here.does(*user, stdin=f"{PASSWORD}\n")
    assert (nils["groups"], nils["roles"], nils["scopes"]) == (["night"], [], ["orders:night"])
    assert here.does("group", "show", *_ACME, "night")["members"] == ["nils"]
    result = here.run("group", "remove", *_ACME, "night", "nils")
    assert (result.code, result.out) == (0, "nils in acme is not in group night\n")
    assert here.does("user", "show", *_ACME, "nils")["scopes"] == []
    here.does("group", "add", *_ACME, "night", "nils")
    changed = here.does("group", "update", *_ACME, "night", "--no-roles")
    assert (changed["description"], changed["roles"]) == ("At night", [])
    assert here.does("user", "show", *_ACME, "nils")["scopes"] == []
    changed = here.does("group", "update", *_ACME, "night", "--role", "night-reader", "--description", "")
    assert (changed["description"], changed["roles"]) == ("", ["night-reader"])
    assert [each["name"] for each in here.does("group", "list", *_ACME)] == ["night"]
    here.does("group", "delete", *_ACME, "night")
    assert here.does("user", "show", *_ACME, "nils")["groups"] == []


def test_what_is_no_group_is_told(here: Installation) -> None:
    for ask in (("show",), ("delete",), ("update", "--no-roles"), ("add", "nobody"), ("remove", "nobody")):
        command, *more = ask
        assert _refusal(here, "group", command, *_ACME, "nothing", *more) == "there is no group 'nothing' in acme"
    assert "there is no role" in _refusal(here, "group", "create", *_ACME, "x", "--role", "nothing")
    here.does("group", "create", *_ACME, "x")
    assert "there is no user" in _refusal(here, "group", "add", *_ACME, "x", "nobody")
    assert "exists already" in _refusal(here, "group", "create", *_ACME, "x")
    assert here.run("group", "update", *_ACME, "x", "--no-roles", "--role", "reader").code == 2


def test_an_invitation_by_name_is_withdrawn_by_name(here: Installation) -> None:
    here.does("user", "invite", *_ACME, "--name", "guest", "--print-link")
    assert here.run("user", "uninvite", *_ACME).code == 2
    assert here.does("user", "uninvite", *_ACME, "--name", "Guest")["links_ended"] == 1
    assert here.does("user", "uninvite", *_ACME, "--name", "guest")["links_ended"] == 0


def test_jobs_are_listed_where_no_server_ever_ran(here: Installation) -> None:
    found = {each["name"]: each for each in here.does("job", "list")}
    assert {"keys", "pruning", "audit_erasure", "erasures", "deletions"} == found.keys()
    assert found["keys"]["outcome"] == "never"

"""``yett tenant delete``: with a time to take it back, or at once; and what is left is told in the platform's log."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from tests.e2e.administering import last_event, refused
from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    return copy_of("sqlite")


def test_it_is_suspended_and_can_be_resumed_until_its_time_has_come(here: Installation) -> None:
    said = here.does("tenant", "delete", "acme", "--after", "48h", "--yes")
    left = datetime.fromisoformat(said["delete_at"]) - datetime.now().astimezone()
    assert timedelta(hours=47, minutes=58) < left <= timedelta(hours=48)
    event = last_event(here)
    assert (event["type"], event["details"]["at"]) == ("tenant.deletion_scheduled", said["delete_at"])
    shown = here.does("tenant", "show", "acme")
    assert (shown["active"], shown["delete_at"]) == (False, said["delete_at"])
    here.does("tenant", "enable", "acme")
    shown = here.does("tenant", "show", "acme")
    assert shown["active"] is True
    assert "delete_at" not in shown


def test_who_cannot_be_asked_has_to_say_yes(here: Installation) -> None:
    refused(here, "tenant", "delete", "acme", says="--yes")
    assert here.does("tenant", "show", "acme")["active"] is True


def test_the_platform_is_never_deleted_and_nobody_is_not_there(here: Installation) -> None:
    refused(here, "tenant", "delete", "platform", "--yes", says="cannot be deleted")
    refused(here, "tenant", "delete", "nobody", "--yes", says="there is no tenant 'nobody'")


def test_a_deletion_that_was_broken_off_is_gone_on_with(here: Installation) -> None:
    slug = here.does("tenant", "create", "initech")["slug"]
    with closing(sqlite3.connect(here.data / "yett.db")) as connection, connection:
        begun = "UPDATE tenants SET active = false, delete_at = created_at, deletion_began_at = created_at"
        connection.execute(f"{begun} WHERE slug = ?", (slug,))
    refused(here, "tenant", "enable", slug, says="there is no tenant 'initech'")
    refused(here, "tenant", "delete", slug, "--yes", says="is being deleted")
    assert here.does("tenant", "delete", slug, "--now", "--yes")["deleted"] is True
    assert last_event(here, "platform")["details"]["slug"] == slug
    refused(here, "tenant", "delete", slug, "--now", "--yes", says="there is no tenant 'initech'")


def test_at_once_it_is_gone_and_told_of(here: Installation) -> None:
    here.does("tenant", "delete", "acme", "--now", "--yes")
    assert "acme" not in [found["slug"] for found in here.does("tenant", "list")]
    event = last_event(here, "platform")
    assert (event["type"], event["details"]["slug"]) == ("tenant.deleted", "acme")
    assert event["actor"].startswith("cli:")
    refused(here, "audit", "list", "--tenant", "acme", says="there is no tenant 'acme'")
    assert here.does("tenant", "create", "acme")["slug"] == "acme"

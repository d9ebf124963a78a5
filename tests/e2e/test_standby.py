"""A fail-over to a synchronous standby: what was answered is on it, and people go on there."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.e2e import installation, ledger
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.failing import SECONDS, House, standing
from tests.e2e.ledger import ISSUE, LOGIN
from tests.e2e.own_postgresql import OwnPostgresql, own_postgresql, standby_of

pytestmark = pytest.mark.soak

_ENOUGH = 400 if os.environ.get("YETT_TEST_SOAK") else 5


@pytest.fixture
def pair(copy_of: Copy, tmp_path: Any, upstream: Any) -> Iterator[tuple[House, OwnPostgresql]]:
    with (
        own_postgresql() as server,
        standby_of(server) as standby,
        standing(server, copy_of("postgresql"), tmp_path, upstream.url) as house,
    ):
        server.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        eventually(partial(_is_synchronous, server), within=SECONDS, what="a synchronous standby")
        yield house, standby


def _is_synchronous(server: OwnPostgresql) -> bool:
    return server.sql("SELECT sync_state FROM pg_stat_replication") == [("sync",)]


def _moved(house: House, standby: OwnPostgresql) -> None:
    """Everybody asks the other server from here on: the gateway by its relay, and what looks behind its back."""
    house.relay.target = standby.socket
    folder = str(make_url(standby.admin_url).query["host"])

    def there(url: str) -> str:
        parts = make_url(url)
        if "host" in parts.query:
            parts = parts.update_query_dict({"host": folder})
        return parts.render_as_string(hide_password=False)

    settings = {name: there(value) if name.endswith("_URL") else value for name, value in house.of.settings.items()}
    admin_url = there(house.of.admin_url or "")
    house.of, house.server = installation.replace(house.of, settings=settings, admin_url=admin_url), standby


def test_what_was_answered_is_on_the_standby_that_is_promoted(pair: tuple[House, OwnPostgresql]) -> None:
    house, standby = pair
    with house.busy() as noted:
        for kind in (LOGIN, ISSUE):
            eventually(partial(noted.has, kind, _ENOUGH), within=SECONDS, what="people log in")
        house.server.stop("immediate")
        refused = partial(noted.refused_beyond, noted.refused.total())
        eventually(refused, within=SECONDS, what="somebody is refused")
        assert house.gateway.call("/orders/1", house.token).status_code == 200
        standby.promote()
        _moved(house, standby)
        for kind in (LOGIN, ISSUE):
            before = noted.count(kind)
            eventually(partial(noted.has, kind, before + _ENOUGH), within=SECONDS, what="people log in on the standby")
    assert not noted.broken
    ledger.check(house.of, noted)

"""The real thing as processes: installations on both databases, gateways that serve them, the demo.

Making an installation through the command line takes seconds, so each database has one original for the whole run;
gateways serve copies of it. ``gateway`` is shared by all tests that change nothing in it, ``own_gateway`` by a module.
"""

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import installation
from tests.e2e.command import forker
from tests.e2e.demo import Demo
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation
from tests.e2e.ports import free_port
from tests.e2e.recording_upstream import RecordingUpstream
from tests.e2e.slow_api import SlowApi

DATABASES = ("sqlite", "postgresql")

# Each needs a PostgreSQL of its own, or two, and half a minute: what they show of the product, test_failures.py shows
# in a plain run by other faults.
collect_ignore = [] if os.environ.get("YETT_TEST_SOAK") else ["test_bounded_end.py", "test_clock.py", "test_standby.py"]

Copy = Callable[..., Installation]


@pytest.fixture(scope="session", autouse=True)
def _end_of_commands() -> Iterator[None]:
    yield
    if forker.cache_info().currsize:
        forker().close()


@pytest.fixture(scope="session")
def upstream() -> Iterator[RecordingUpstream]:
    """The API behind the gateways, in this process."""
    with RecordingUpstream() as running:
        yield running


@pytest.fixture
def slow_api() -> Iterator[SlowApi]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(15)
        yield SlowApi(listening)


@pytest.fixture(scope="session")
def sqlite_original(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return installation.make(tmp_path_factory.mktemp("sqlite"), None)


@pytest.fixture(scope="session")
def postgresql_original(tmp_path_factory: pytest.TempPathFactory, postgresql_admin_url: str) -> Installation:
    return installation.make(tmp_path_factory.mktemp("postgresql"), postgresql_admin_url)


@pytest.fixture(scope="session")
def copy_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream
) -> Copy:
    """``copy_of(database, upstream=URL)``: an installation that nobody else touches."""

    def made(database: str, upstream_url: str = upstream.url) -> Installation:
        original: Installation = request.getfixturevalue(f"{database}_original")
        return installation.copy(original, tmp_path_factory.mktemp(f"{database}-copy"), upstream_url)

    return made


def _served(of: Installation) -> Iterator[Gateway]:
    running = Gateway(of, of.data.parent)
    try:
        running.wait_until_ready()
        yield running
        running.close()
        running.stop()
    finally:
        running.close()
        running.discard()


@pytest.fixture(scope="session")
def sqlite_gateway(copy_of: Copy) -> Iterator[Gateway]:
    yield from _served(copy_of("sqlite"))


@pytest.fixture(scope="session")
def postgresql_gateway(copy_of: Copy) -> Iterator[Gateway]:
    yield from _served(copy_of("postgresql"))


@pytest.fixture(scope="session", params=DATABASES)
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """A running gateway on each database. Tests leave its tenants as they are."""
    found: Gateway = request.getfixturevalue(f"{request.param}_gateway")
    return found


@pytest.fixture(scope="module", params=DATABASES)
def own_gateway(request: pytest.FixtureRequest, copy_of: Copy) -> Iterator[Gateway]:
    """A running gateway on each database, whose tenants the tests of one module may change."""
    yield from _served(copy_of(request.param))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """``yett demo``, as it comes but for the limit of logins per address, for which all tests are one."""
    running = Demo(free_port(), free_port(), tmp_path_factory.mktemp("demo"), YETT_LIMITS__TOKEN="100000/minute")
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.discard()

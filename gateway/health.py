"""``/livez`` and ``/readyz`` on the management listener: does the process run, and should it get traffic."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.installation import Installation
from tenants.installation import WrongMasterKey
from tenants.migrate import SchemaMismatch

_log = structlog.get_logger("yett.health")
Check = Callable[[], bool]


class Fitness:
    """Whether the database is still what a start would accept: looked at now and then, remembered in between.

    ``looks`` are by name and raise one of ``refusals`` where it is not. It may have been migrated by a newer version or
    restored from another installation since; a database that is away says nothing of that, and the feed's check is
    there for it.
    """

    def __init__(
        self, looks: Mapping[str, Callable[[], Awaitable[None]]], refusals: tuple[type[Exception], ...]
    ) -> None:
        self._looks = looks
        self._refusals = refusals
        self._unfit: set[str] = set()

    @classmethod
    def of(cls, installation: Installation) -> "Fitness":
        """As a start of this installation checks it."""
        looks = {"schema": installation.check_schema, "master_key": installation.check_master_key}
        return cls(looks, (SchemaMismatch, WrongMasterKey))

    async def look(self) -> None:
        """Look again. What changes is logged, once."""
        for name, look in self._looks.items():
            try:
                await look()
            except self._refusals as error:
                if name not in self._unfit:
                    _log.error("database_unfit", check=name, reason=str(error))
                self._unfit.add(name)
            else:
                if name in self._unfit:
                    _log.info("database_fit_again", check=name)
                self._unfit.discard(name)

    def checks(self) -> dict[str, Check]:
        """For the probe, by name."""
        return {name: partial(self._is_fit, name) for name in self._looks}

    def _is_fit(self, name: str) -> bool:
        return name not in self._unfit


def health_router(checks: Mapping[str, Check]) -> APIRouter:
    """The probes. They tell no secret and need no token; ``checks`` are by name, True where all is well."""
    router = APIRouter()

    @router.api_route("/livez", methods=["GET", "HEAD"])
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @router.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz() -> JSONResponse:
        results = {name: "ok" if check() else "failed" for name, check in checks.items()}
        ready = all(result == "ok" for result in results.values())
        return JSONResponse(
            {"status": "ok" if ready else "failed", "checks": results}, status_code=200 if ready else 503
        )

    return router

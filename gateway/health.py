"""``/livez`` and ``/readyz`` on the management listener: does the process run, and should it get traffic."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter
from fastapi.responses import JSONResponse

Check = Callable[[], bool]


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

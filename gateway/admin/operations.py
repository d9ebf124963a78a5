"""The table of all operations, in the order of the document that describes them."""

from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import RootModel

from gateway.admin import (
    api_keys,
    audit,
    clients,
    groups,
    installation,
    invitations,
    jobs,
    openapi,
    passwords,
    policy,
    roles,
    signing_keys,
    tenants,
    throttles,
    user_security,
    users,
)
from gateway.admin.operation import Answer, Call, Operation

OPERATIONS: tuple[Operation, ...] = (
    *tenants.OPERATIONS,
    *users.OPERATIONS,
    *user_security.OPERATIONS,
    *passwords.OPERATIONS,
    *throttles.OPERATIONS,
    *invitations.OPERATIONS,
    *roles.OPERATIONS,
    *groups.OPERATIONS,
    *clients.OPERATIONS,
    *signing_keys.OPERATIONS,
    *api_keys.OPERATIONS,
    *audit.OPERATIONS,
    *policy.OPERATIONS,
    *installation.OPERATIONS,
    *jobs.OPERATIONS,
)


class OpenApi(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


@cache
def openapi_document() -> OpenApi:
    """Of all of them."""
    described = {**{each.name: each for each in OPERATIONS}, READ_OPENAPI.name: READ_OPENAPI}
    document = openapi.document_of(tuple(described.values()), version("yett"))
    paths = document["paths"]
    document["paths"] = {path if path == READ_OPENAPI.path else f"/v1{path}": paths[path] for path in paths}
    return OpenApi(document)


async def _read_openapi(_: Call) -> Answer:
    return Answer(openapi_document())


READ_OPENAPI = Operation(
    "read_openapi",
    "GET",
    "/openapi.json",
    None,
    "Show this document",
    _read_openapi,
    answer=OpenApi,
    where="platform",
)

"""The whole table: each operation asked by who holds each role, as an operator, in their own tenant and in another's.

Expected is what the tables of the code say; that each request would be done, if only the right one asked, is shown by
who may.
"""

import pytest

from gateway.admin.openapi import status_of
from gateway.admin.operation import Operation
from gateway.admin.operations import OPERATIONS, READ_OPENAPI
from policies.administration import (
    OPERATOR_ROLES,
    SCOPES,
    TENANT_ADMINISTRATOR,
    TENANT_ROLES,
    TENANTS_DELETE,
)
from tests.gateway.admin.house import House
from tests.gateway.admin.targets import BODIES, PATCHES, Targets

ALL = (*OPERATIONS, READ_OPENAPI)
REFUSED = (403, "insufficient_scope")


def expected(operation: Operation, scopes: frozenset[str]) -> tuple[int, str | None]:
    return (status_of(operation), None) if operation.scope is None or operation.scope in scopes else REFUSED


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_an_operator_may_what_their_role_says_in_any_tenant(house: House, role: str) -> None:
    targets, found = Targets(house, "acme"), {}
    async with house.client(await house.operator(role)) as caller:
        for operation in ALL:
            answer = await targets.call(caller, operation)
            code = answer.json()["code"] if answer.status_code >= 400 else None
            found[operation.name] = (answer.status_code, code)
    assert found == {operation.name: expected(operation, OPERATOR_ROLES[role]) for operation in ALL}


async def test_a_tenants_administrator_may_what_concerns_it_alone(house: House) -> None:
    targets, found = Targets(house, "acme"), {}
    async with house.client(await house.administrator()) as caller:
        for operation in ALL:
            answer = await targets.call(caller, operation)
            code = answer.json()["code"] if answer.status_code >= 400 else None
            found[operation.name] = (answer.status_code, code)
    scopes = TENANT_ROLES[TENANT_ADMINISTRATOR]
    assert found == {
        operation.name: (404, "tenant_not_found")  # as a whole it is asked of another one, which is not there
        if operation.operators_only and operation.path.startswith("/tenants/")
        else (403, "access_denied")
        if operation.operators_only
        else expected(operation, scopes)
        for operation in ALL
    }


async def test_at_the_issuer_a_tenants_administrator_may_the_same(house: House) -> None:
    targets = Targets(house, "acme")
    async with house.client(await house.administrator(), public=True) as caller:
        for operation in OPERATIONS:
            if operation.path.startswith("/tenants/") and not operation.operators_only:
                answer = await targets.call(caller, operation, public=True)
                assert answer.status_code == status_of(operation), (operation.name, answer.text)


async def test_another_tenants_administrator_finds_nothing(house: House) -> None:
    targets = Targets(house, "acme")
    before = len(await house.world.events())
    async with house.client(await house.administrator(house.globex)) as caller:
        for operation in OPERATIONS:
            if "{slug}" in operation.path:
                answer = await targets.call(caller, operation)
                assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found"), operation.name
    assert [each["type"] for each in (await house.world.events())[before:] if "actor" in each] == []


async def test_who_has_no_scope_may_nothing(house: House) -> None:
    targets = Targets(house, "acme")
    async with house.client(await house.administrator(scopes=frozenset({"admin", "users:read", "*"}))) as caller:
        for operation in OPERATIONS:
            if not operation.operators_only:
                answer = await targets.call(caller, operation)
                assert (answer.status_code, answer.json()["code"]) == REFUSED, operation.name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_wants_a_scope_that_somebody_has(operation: Operation) -> None:
    assert operation.scope in SCOPES
    assert operation.scope.endswith(":read") == operation.reads
    held = TENANT_ROLES[TENANT_ADMINISTRATOR]
    assert operation.operators_only or operation.scope in held


def test_roles_are_what_they_are() -> None:
    """Each is a step below the one before; who reads changes nothing."""
    owner, admin, support, auditor = (OPERATOR_ROLES[name] for name in ("owner", "admin", "support", "auditor"))
    assert owner == SCOPES
    assert owner - admin == {TENANTS_DELETE}
    assert support < admin
    assert auditor == {scope for scope in SCOPES if scope.endswith(":read")}
    assert not {scope for scope in support if scope.endswith(":write")}


def test_every_scope_is_wanted_by_something() -> None:
    assert {operation.scope for operation in OPERATIONS} == SCOPES


def test_every_operation_that_takes_a_body_is_tried() -> None:
    must = {each.name for each in OPERATIONS if each.body is not None and not each.body_optional}
    assert must == PATCHES.keys() | BODIES.keys()

"""The OpenAPI 3.1 document of the admin API, made from the table of operations: nothing is described twice.

It names exactly the statuses that an operation answers, and the codes of each.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway.admin import errors
from gateway.admin.cursor import PageQuery
from gateway.admin.operation import Operation
from gateway.admin.reading import media_type
from gateway.errors import InternalError, Misdirected, PathNotCanonical, Problem, TooManyRequests
from policies.administration import MEANINGS

_Model = tuple[type[BaseModel], JsonSchemaMode]
_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_ALWAYS: tuple[type[Problem], ...] = (
    errors.AuthorizationRepeated,
    errors.DatabaseAway,
    errors.FactorMissing,
    errors.InvalidProof,
    errors.InvalidToken,
    errors.RevocationsStale,
    errors.TokenMissing,
    errors.UseNonce,
    errors.ValidationFailed,
    InternalError,
    Misdirected,
    PathNotCanonical,
    TooManyRequests,
)
_DESCRIPTION = (
    "What is below `/v1/tenants/{slug}` is also at `{issuer}/admin/v1` of the tenant, for its own administrators "
    "(a tenant itself at `{issuer}/admin/v1/tenant`), but for what operators alone may do. What cannot be taken as a "
    "request is answered by the HTTP server itself, as with 408, 414, 431 or 501. Every code stands in docs/errors.md."
)
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "detail": {"type": "string"},
        "scope": {"type": "string", "description": "The scopes that are missing."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def problems_of(operation: Operation) -> frozenset[type[Problem]]:
    """All that this operation may refuse with."""
    found = {*_ALWAYS, *operation.refusals}
    if operation.scope is not None:
        found.add(errors.InsufficientScope)
    if operation.operators_only:
        found.add(errors.OperatorsOnly)
    if "{slug}" in operation.path:
        found.add(errors.TenantUnknown)
    if operation.body is not None:
        found |= {errors.JsonInvalid, errors.BodyTooLarge, errors.MediaTypeUnsupported}
    if operation.query is not None and issubclass(operation.query, PageQuery):
        found.add(errors.CursorInvalid)
    if operation.current is not None:
        found.add(errors.PreconditionFailed)
    if operation.method == "PATCH":
        found.add(errors.PreconditionRequired)
    if operation.method == "POST" and not operation.asks:
        found |= {errors.IdempotencyKeyInvalid, errors.InFlight, errors.KeyReused}
    return frozenset(found)


def status_of(operation: Operation) -> int:
    """Where it is done."""
    return 204 if operation.answer is None else operation.status


def document_of(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The document, of the operations as they are below ``/v1``."""
    answers: list[_Model] = [(each.answer, "serialization") for each in operations if each.answer is not None]
    bodies: list[_Model] = [(each.body, "validation") for each in operations if each.body is not None]
    queries: list[_Model] = [(each.query, "validation") for each in operations if each.query is not None]
    models = list(dict.fromkeys([*answers, *bodies, *queries]))
    references, definitions = models_json_schema(models, ref_template=_REF)
    schemas = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in operations:
        paths[operation.path][operation.method.lower()] = _described(operation, references, schemas)
    queried = {_name(references[key]) for key in queries}
    kept = {name: schema for name, schema in schemas.items() if name not in queried}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yett admin API",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": {
            "schemas": {**kept, "Problem": _PROBLEM},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token with the audience `urn:yett:admin`. Scopes: "
                    + "; ".join(f"`{scope}`: {meaning}" for scope, meaning in MEANINGS.items()),
                }
            },
        },
        "security": [{"bearer": []}],
    }


def _described(operation: Operation, references: Mapping[Any, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [{"bearer": [] if operation.scope is None else [operation.scope]}],
        "parameters": [*_parameters(operation, references, schemas)],
        "responses": {str(status_of(operation)): _done(operation, references), **_refused(operation)},
    }
    if operation.body is not None:
        schema = references[operation.body, "validation"]
        if operation.method == "PATCH":
            schema = _patch(schemas[_name(schema)])
        content = {media_type(operation): {"schema": schema}}
        described["requestBody"] = {"required": not operation.body_optional, "content": content}
    return described


def _parameters(
    operation: Operation, references: Mapping[Any, Any], schemas: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if operation.query is not None:
        schema = schemas[_name(references[operation.query, "validation"])]
        for name, each in schema["properties"].items():
            required = name in schema.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": _of_query(each)}
    if operation.current is not None:
        required = operation.method == "PATCH"
        yield {"name": "If-Match", "in": "header", "required": required, "schema": {"type": "string"}}
    if operation.method == "POST" and not operation.asks:
        key = {"type": "string", "maxLength": 255, "pattern": "^[!-~]+$"}
        yield {"name": "Idempotency-Key", "in": "header", "required": False, "schema": key}


def _done(operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        done["content"] = {"application/json": {"schema": references[operation.answer, "serialization"]}}
    if operation.tagged:
        done["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return done


def _refused(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, set[str]] = defaultdict(set)
    for refusal in problems_of(operation):
        by_status[refusal.status].add(refusal.code)
    return {str(status): _problem(sorted(codes)) for status, codes in sorted(by_status.items())}


def _problem(codes: Sequence[str]) -> dict[str, Any]:
    schema = {"allOf": [{"$ref": _REF.format(model="Problem")}, {"properties": {"code": {"enum": list(codes)}}}]}
    told = ", ".join(f"`{code}`" for code in codes)
    return {"description": told, "content": {"application/problem+json": {"schema": schema}}}


def _of_query(schema: Mapping[str, Any]) -> dict[str, Any]:
    """No query can say null: a parameter that has no value is not there."""
    told = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(told) != 1:
        return dict(schema)
    return {**{name: each for name, each in schema.items() if name not in ("anyOf", "default")}, **told[0]}


def _patch(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch (RFC 7396): any of the members, null for what is to be as if it had not been said."""
    nullable = {name: {"anyOf": [each, {"type": "null"}]} for name, each in schema["properties"].items()}
    return {"type": "object", "additionalProperties": False, "properties": nullable}


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]

"""The OpenAPI 3.1 document, made of the operations and of the very models that validate.

Served at /v1/openapi.json; read by the page beside it and by the test that drives the gateway. Pure.
"""

from typing import Any, Final

import msgspec

from producers.gateway.models import BatchBody, MessageBody
from producers.gateway.operations import JSON, OPERATIONS, PROBLEMS, Operation
from producers.gateway.problems import TITLES

VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{name}"
_LIMITS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def document() -> dict[str, Any]:
    """The whole document."""
    shapes, components = _components()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "medpost",
            "version": VERSION,
            "description": "One interface in, every channel out. 一个入口，多个渠道。",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "x-error-codes": {
            str(code): {"status": status, "zh": zh, "en": en} for code, (status, zh, en) in TITLES.items()
        },
    }


def _components() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """The schema of each model that an operation names, and all components they refer to."""
    named: dict[Any, None] = {PROBLEMS: None, MessageBody: None}
    for operation in OPERATIONS:
        named |= dict.fromkeys([*operation.answers.values(), *([operation.body] if operation.body else [])])
    found, components = msgspec.json.schema_components(list(named), ref_template=_REF)
    components[BatchBody.__name__]["properties"]["messages"]["items"] = {"$ref": _REF.format(name=MessageBody.__name__)}
    return dict(zip(named, found, strict=True)), components


def _operation(operation: Operation, shapes: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    zh, en = operation.summary
    told: dict[str, Any] = {"operationId": operation.name, "summary": zh, "description": en}
    if operation.parameters:
        told["parameters"] = [
            {
                "name": one.name,
                "in": one.place,
                "required": one.is_required,
                "description": one.told,
                "schema": {"type": "string"},
            }
            for one in operation.parameters
        ]
    if operation.body is not None:
        content = _content(shapes[operation.body], operation.body_media)
        told["requestBody"] = {"required": operation.is_body_needed, "content": content}
    if operation.wants_token:
        told["security"] = [{"token": []}]
    answers = {status: (shapes[shape], "an answer", operation.media) for status, shape in operation.answers.items()}
    refusals = {
        status: (shapes[PROBLEMS], "refused", (JSON,)) for status in operation.refusals if status not in answers
    }
    told["responses"] = {str(status): _response(*found) for status, found in sorted((answers | refusals).items())}
    return told


def _content(shape: dict[str, Any], media: tuple[str, ...]) -> dict[str, Any]:
    """The shape where it is JSON, text elsewhere."""
    return {name: {"schema": shape if name == JSON else {"type": "string"}} for name in media}


def _response(shape: dict[str, Any], told: str, media: tuple[str, ...]) -> dict[str, Any]:
    headers = {name: {"schema": {"type": "integer"}} for name in _LIMITS}
    headers["X-Correlation-ID"] = {"schema": {"type": "string"}}
    return {"description": told, "headers": headers, "content": _content(shape, media)}

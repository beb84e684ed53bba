"""Drives an HTTP service from its own OpenAPI document: makes requests, right and wrong ones, and judges the answers.

Knows the part of JSON Schema that our models make: references, unions, words, texts, numbers, maps, lists.
"""

from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from msgspec import Struct

JSON_TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    "null": type(None),
}  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SEGMENTS = st.text(st.characters(codec="utf-8", exclude_characters="/?#"), min_size=1, max_size=40).map(
    lambda text: quote(text, safe="")
)


class Asked(Struct, frozen=True):
    """One request: the operation as documented, its path with query, and a body (None: none)."""

    method: str
    path: str
    operation: dict[str, Any]
    body: Any = None


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def values(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema allows."""
    schema = resolved(schema, document)
    if "anyOf" in schema:
        return st.one_of([values(one, document) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    made: dict[str, Any] = {
        "string": lambda: _texts(schema),
        "integer": lambda: st.integers(schema.get("minimum", -(2**53)), schema.get("exclusiveMaximum", 2**53) - 1),
        "array": lambda: st.lists(values(schema["items"], document), min_size=schema.get("minItems", 0), max_size=3),
        "object": lambda: _objects(schema, document),
        "null": st.none,
        "boolean": st.booleans,
    }
    found: st.SearchStrategy[Any] = made.get(schema.get("type", ""), lambda: ANYTHING)()
    return found


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda at: at.isoformat() + "+08:00")
    drawn = st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))
    return drawn | st.sampled_from(schema["examples"]) if "examples" in schema else drawn


def _objects(schema: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema and isinstance(schema.get("additionalProperties"), dict):
        names = values({"type": "string", **schema.get("propertyNames", {})}, document)
        return st.dictionaries(names, values(schema["additionalProperties"], document), max_size=3)
    members = {name: values(one, document) for name, one in schema.get("properties", {}).items()}
    needed = set(schema.get("required", []))
    return st.fixed_dictionaries(
        {name: one for name, one in members.items() if name in needed},
        optional={name: one for name, one in members.items() if name not in needed},
    )


@st.composite
def spoiled(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """A value that was good: one of its members replaced, removed, or one more."""
    value = draw(good)
    if not isinstance(value, dict) or draw(st.integers(0, 5)) == 0:
        return draw(ANYTHING)
    name = draw(st.sampled_from(sorted(value)) | st.text(max_size=10)) if value else draw(st.text(max_size=10))
    if draw(st.booleans()):
        return {**value, name: draw(ANYTHING)}
    return {key: one for key, one in value.items() if key != name}


@st.composite
def requests(draw: st.DrawFn, document: dict[str, Any]) -> Asked:
    """A request to one of the documented operations."""
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    query = []
    for one in operation.get("parameters", []):
        text = draw(SEGMENTS | st.uuids().map(str) | st.just("his"))
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", text)
        elif draw(st.integers(0, 4)):
            query.append(f"{one['name']}={text}")
    body = None
    if "requestBody" in operation:
        good = values(operation["requestBody"]["content"]["application/json"]["schema"], document)
        body = draw(good | spoiled(good))
    return Asked(method.upper(), path + ("?" + "&".join(query) if query else ""), operation, body)


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> list[str]:
    """Where an answer is not as its schema says; empty: it is."""
    schema = resolved(schema, document)
    if "anyOf" in schema:
        tried = [faults(value, one, document, at) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: none of the words"]
    kind = schema.get("type")
    if kind is not None and (
        not isinstance(value, JSON_TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))
    ):
        return [f"{at}: no {kind}"]
    if kind == "array":
        return [fault for n, one in enumerate(value) for fault in faults(one, schema["items"], document, f"{at}[{n}]")]
    if kind == "object":
        return _faults_of_object(value, schema, document, at)
    return []


def _faults_of_object(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str) -> list[str]:
    members = schema.get("properties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
    found += [f"{at}: {name} is not documented" for name in value if members and name not in members]
    for name, one in value.items():
        if name in members:
            found += faults(one, members[name], document, f"{at}.{name}")
    return found

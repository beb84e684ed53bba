"""What a new version of a schema may change: nothing but to add fields that have a default. A released one: its docs.

Called by the tests over everything in `schemas/avsc`, so that the newest reader reads every record ever written.
Pure: it compares schemas as plain JSON, never reads a file, and never edits a schema. Stricter than the Avro
specification's resolution rules on purpose: no promotion, no renaming, no reordering of a union, no new default.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

NAMESPACE: Final = "medpost"
_NAMED: Final = ("record", "fixed", "enum")
_NONE: Final = object()


def complaints(record: str, versions: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """What is wrong with the versions of one record (snake-case name), one line each; empty when nothing is."""
    order = sorted(versions)
    found: list[str] = []
    if order != list(range(1, len(order) + 1)):
        found.append(f"{record}: versions {order} are not counted 1, 2, 3 …")
    for version in order:
        found += _misnamed(f"{record}.v{version}.avsc", record, versions[version])
    for older, newer in pairwise(order):
        place = f"{record}.v{newer}.avsc"
        comparison = _Comparison(_named_types(versions[older]), _named_types(versions[newer]))
        found += comparison.changes(place, versions[older], versions[newer])
    return found


def checksum(schema: Any) -> str:
    """SHA-256 of a schema without its docs and layout, as 64 hex digits: equal as long as nobody edits it."""
    text = json.dumps(_without_docs(schema), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def edited(released: Mapping[str, Mapping[int, Any]], pinned: Mapping[str, str]) -> list[str]:
    """What differs from the pinned checksums (`<record>.v<N>` -> checksum), one line each; empty when nothing does."""
    now = {f"{name}.v{version}": checksum(schema) for name, of in released.items() for version, schema in of.items()}
    return [
        *(f"{name}.avsc: is released and was deleted" for name in sorted(pinned.keys() - now.keys())),
        *(f"{name}.avsc: is not pinned; its checksum is {now[name]}" for name in sorted(now.keys() - pinned.keys())),
        *(
            f"{name}.avsc: is released and was edited; take the edit back and add the next version"
            for name in sorted(now.keys() & pinned.keys())
            if now[name] != pinned[name]
        ),
    ]


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {key: _without_docs(value) for key, value in schema.items() if key != "doc"}
    return [_without_docs(item) for item in schema] if isinstance(schema, list) else schema


def _misnamed(file: str, record: str, schema: Mapping[str, Any]) -> Iterator[str]:
    expected = "".join(word.capitalize() for word in record.split("_"))
    if schema.get("type") != "record":
        yield f"{file}: holds a {schema.get('type')}, not a record"
    if schema.get("name") != expected:
        yield f"{file}: its record is named {schema.get('name')}, the file says {expected}"
    if schema.get("namespace") != NAMESPACE:
        yield f"{file}: its namespace is {schema.get('namespace')}, not {NAMESPACE}"


def _named_types(schema: Any) -> dict[str, Any]:
    """Every type that the schema defines by name: full name -> definition."""
    found: dict[str, Any] = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _named_types(branch)
    elif isinstance(schema, Mapping):
        if schema.get("type") in _NAMED:
            found[f"{schema.get('namespace', NAMESPACE)}.{schema['name']}"] = schema
        for inner in (schema.get("type"), schema.get("items"), schema.get("values"), *schema.get("fields", ())):
            found |= _named_types(inner)
    return found


class _Comparison:
    """One older version against one newer; knows the types that each of them defines by name."""

    def __init__(self, older: Mapping[str, Any], newer: Mapping[str, Any]) -> None:
        self._older = older
        self._newer = newer
        self._compared: set[str] = set()

    def changes(self, place: str, old: Any, new: Any) -> Iterator[str]:
        """Every forbidden difference below `place`."""
        old, new = _resolved(old, self._older), _resolved(new, self._newer)
        if _kind(old) != _kind(new):
            yield f"{place}: was {_kind(old)}, is {_kind(new)}; a type never changes, add a new field"
        elif isinstance(old, list):
            for branch, (before, after) in enumerate(zip(old, new, strict=True)):
                yield from self.changes(f"{place}|{branch}", before, after)
        elif isinstance(old, Mapping) and old["type"] == "record" and old["name"] not in self._compared:
            self._compared.add(old["name"])
            yield from self._field_changes(place, old, new)
        elif isinstance(old, Mapping) and old["type"] in ("array", "map"):
            inner = "items" if old["type"] == "array" else "values"
            yield from self.changes(f"{place}.{inner}", old[inner], new[inner])

    def _field_changes(self, place: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
        before = {field["name"]: field for field in old["fields"]}
        after = {field["name"]: field for field in new["fields"]}
        for name, field in after.items():
            if name not in before and "default" not in field:
                yield f"{place}.{name}: is new and has no default, so records of the older version cannot be read"
        for name, field in before.items():
            if name not in after:
                yield f"{place}.{name}: was removed; a released field stays"
                continue
            if field.get("default", _NONE) != after[name].get("default", _NONE):
                yield f"{place}.{name}: its default changed; what older records mean would change with it"
            yield from self.changes(f"{place}.{name}", field["type"], after[name]["type"])


def _resolved(schema: Any, named: Mapping[str, Any]) -> Any:
    """A reference by name as its definition; anything else as it is."""
    if not isinstance(schema, str):
        return schema
    return named.get(schema) or named.get(f"{NAMESPACE}.{schema}") or schema


def _kind(schema: Any) -> str:
    """The shape of a type in a few words, without what is inside of it."""
    if isinstance(schema, list):
        return f"a union of {len(schema)}"
    if not isinstance(schema, Mapping):
        return str(schema)
    inside = schema.get("type")
    if inside in _NAMED:
        return f"{inside} {schema['name']}" + (f" of {schema['size']} bytes" if inside == "fixed" else "")
    if inside in ("array", "map"):
        return str(inside)
    return f"{inside} ({schema['logicalType']})" if "logicalType" in schema else str(inside)

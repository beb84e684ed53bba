"""Whether a JSON text has the shape of a Message: unknown members, wrong types, times as texts.

Called by `producers.check_record` when somebody's bytes are JSON: they must become Avro anyway, and this says what
else would go wrong then. Pure; bounded by the text; never shows a value.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from producers.avro_walk import Schema
from producers.check_envelope import body_schema
from producers.findings import Finding, error

TYPES: Final[Mapping[str, tuple[type, str]]] = {
    "string": (str, "文本"),
    "long": (int, "整数"),
    "map": (dict, "对象（文本 → 文本）"),
    "array": (list, "列表"),
    "record": (dict, "对象"),
    "null": (type(None), "null"),
}
NAMES: Final = {str: "文本", bool: "布尔值", int: "整数", float: "小数", dict: "对象", list: "列表", type(None): "null"}
MAX_FINDINGS: Final = 20


def read(raw: bytes) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The members when all of them fit a Message, else None; and what is wrong with them."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None, [error("JSON", "不是完整的 JSON")]
    if not isinstance(told, dict):
        return None, [error("JSON", f"须为对象，这里是{NAMES[type(told)]}", "每条记录一条消息")]
    found = list(_record(told, body_schema(), ""))[:MAX_FINDINGS]
    return (None if found else told), found


def _value(value: Any, schema: Schema, path: str) -> Iterator[Finding]:
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list):
        if value is not None:
            yield from _value(value, kind[1], path)
        return
    if isinstance(kind, dict):
        yield from _value(value, kind, path)
        return
    wanted, word = TYPES[kind]
    is_right = isinstance(value, wanted) and not isinstance(value, bool)
    if not is_right:
        hint = "用毫秒数，不用文本" if kind == "long" and isinstance(value, str) else ""
        yield error(f"字段 {path}", f"须为{word}，这里是{NAMES[type(value)]}", hint)
    elif kind == "record":
        yield from _record(value, schema, f"{path}.")
    elif kind == "array":
        for index, item in enumerate(value):
            yield from _value(item, schema["items"], f"{path}[{index}]")
    elif kind == "map" and not all(isinstance(item, str) for item in value.values()):
        yield error(f"字段 {path}", "每个值须为文本（数字也加引号）")


def _record(value: Mapping[str, Any], schema: Schema, below: str) -> Iterator[Finding]:
    types = {field["name"]: field["type"] for field in schema["fields"]}
    for name, item in value.items():
        if name in types:
            yield from _value(item, types[name], f"{below}{name}")
    strange = len(value.keys() - types.keys())
    if strange:
        place = below.rstrip(".") or "Message"
        yield error("JSON", f"{place} 有 {strange} 个不认识的成员", f"{place} 只有：{'、'.join(types)}")

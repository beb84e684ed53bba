"""Reads an Avro body field by field, to say where foreign bytes stop following their schema.

Called by `producers.check_record` alone; the pipeline reads with `schemas.codec`, which is quick and says only that a
body is wrong. Takes parsed `avsc` files of the types that medpost uses. Never trusts a length or a count: the work is
bounded by the bytes that are there. Source: Avro 1.12 specification, "Binary encoding".
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

MAX_LONG_BYTES: Final = 10
"""A 64-bit number, 7 bits a byte."""
_UNREAD: Final = dict.fromkeys(range(0xDC80, 0xDD00), "\u25a1")
"""A box for every byte that is no UTF-8: not U+FFFD, which would seem to have been written by the sender."""

Schema = Any
"""A parsed schema: a name, a union's list, or an object with `type`."""


class Broken(Exception):  # noqa: N818 - a place, found; never leaves producers.check_record
    """The bytes cannot be what the schema says at `path`, from byte `at` on; `why` is for the sender's programmer."""

    def __init__(self, path: str, at: int, why: str) -> None:
        super().__init__(f"{path} {at}: {why}")
        self.path = path
        self.at = at
        self.why = why


class Walk(Struct):
    """One reading of a body: `at` is the next byte; `bad_texts` are places and bytes of texts that are no UTF-8."""

    raw: bytes
    at: int = 0
    bad_texts: list[tuple[str, bytes]] = field(default_factory=list)

    def read(self, schema: Schema, path: str = "") -> Any:
        """The value at this place as plain Python; raises Broken. Texts that are no UTF-8 are noted and read on."""
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, list):
            return self._union(kind, path)
        if not isinstance(kind, str):
            return self.read(kind, path)
        return _READERS[kind](self, schema, path)

    def number(self, path: str) -> int:
        """A long: zigzag, 7 bits a byte, the lowest first."""
        value = 0
        for index in range(MAX_LONG_BYTES):
            byte = self._take(1, path)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
        raise Broken(path, self.at - MAX_LONG_BYTES, "这里应是变长整数，但连续 10 个字节仍未结束")

    def text(self, path: str) -> str:
        """A string: its length in bytes, then UTF-8."""
        raw = self._sized(path)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.bad_texts.append((path, raw))
            return raw.decode("utf-8", "surrogateescape").translate(_UNREAD)

    def _take(self, count: int, path: str) -> bytes:
        taken = self.raw[self.at : self.at + count]
        if len(taken) < count:
            raise Broken(path, len(self.raw), "字节到此为止，正文不完整（被截断）")
        self.at += count
        return taken

    def _sized(self, path: str) -> bytes:
        start = self.at
        size, left = self.number(path), len(self.raw) - self.at
        if not 0 <= size <= left:
            raise Broken(path, start, f"这里的长度读作 {size} 字节，而后面只有 {left} 字节：被截断，或此前已错位")
        return self._take(size, path)

    def _union(self, branches: list[Schema], path: str) -> Any:
        start = self.at
        index = self.number(path)
        if not 0 <= index < len(branches):
            raise Broken(path, start, f"可为空字段须先写分支号（0=空，1=有值），这里读到 {index}")
        return self.read(branches[index], path)

    def record(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Every field in the schema's order."""
        below = f"{path}." if path else ""
        return {one["name"]: self.read(one["type"], below + one["name"]) for one in schema["fields"]}

    def array(self, schema: Mapping[str, Any], path: str) -> list[Any]:
        """Blocks of items, ended by an empty one."""
        found: list[Any] = []
        for _ in self._blocks(path):
            found.append(self.read(schema["items"], f"{path}[{len(found)}]"))
        return found

    def map(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Blocks of text and value, ended by an empty one; the name of an entry is never part of a path."""
        found: dict[str, Any] = {}
        of_key, of_value = f"{path} 的键", f"{path} 的值"
        for _ in self._blocks(path):
            name = self.text(of_key)
            found[name] = self.read(schema["values"], of_value)
        return found

    def _blocks(self, path: str) -> Any:
        while True:
            start = self.at
            count = self.number(path)
            if not count:
                return
            if count < 0:  # a block that says its size in bytes, too
                count = -count
                self.number(path)
            if count > len(self.raw) - self.at:  # an item has at least one byte
                raise Broken(
                    path,
                    start,
                    f"项数读作 {count}，而后面只有 {len(self.raw) - self.at} 字节：不是列表或映射，或已错位",
                )
            yield from range(count)


_READERS: Final[Mapping[str, Callable[[Walk, Schema, str], Any]]] = {
    "null": lambda _walk, _schema, _path: None,
    "long": lambda walk, _schema, path: walk.number(path),
    "string": lambda walk, _schema, path: walk.text(path),
    "record": lambda walk, schema, path: walk.record(schema, path),
    "array": lambda walk, schema, path: walk.array(schema, path),
    "map": lambda walk, schema, path: walk.map(schema, path),
}
"""The types that occur in what systems write; another is a KeyError at the first test."""

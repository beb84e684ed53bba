"""Whether the bytes behind a Message's head follow its schema; if not: where they stop, and what was written.

Called by `producers.check_record`; pure. When a body breaks, every field is tried as the types that programmers
mistake it for: the reading that comes out even to the last byte is named. It never shows a value.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from producers.avro_walk import Broken, Schema, Walk
from producers.check_envelope import body_schema
from producers.findings import Finding, error, fine
from schemas.codec import HEAD_BYTES, MARKER

PLACE: Final = "正文"
_NULL_LONG: Final = ["null", "long"]
_NULL_TEXT: Final = ["null", "string"]
_TEXT_MAP: Final = {"type": "map", "values": "string"}
_TEXTS: Final = {"type": "array", "items": "string"}

WRITTEN_AS: Final[tuple[tuple[Schema, str], ...]] = (
    ("string", "string"),
    ("long", "long"),
    (_TEXT_MAP, "map"),
    (_TEXTS, "string 的 array"),
    (_NULL_TEXT, '["null", "string"]'),
    (_NULL_LONG, '["null", "long"]'),
)
"""What a field is tried as; beside these: left out, and without the number of its branch."""
MAX_TRIED_BYTES: Final = 65_536
"""Longer bodies are not tried again in other ways: it would take some hundred readings."""
MAX_BAD_TEXTS: Final = 10


def read(raw: bytes) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The fields behind the head, None when they cannot be read to the end; and what there is to say."""
    walk = Walk(raw, HEAD_BYTES)
    try:
        fields: dict[str, Any] = walk.read(body_schema())
    except Broken as broken:
        return None, [_broken(broken), *_written_otherwise(raw)]
    found = [*_texts(walk), *_behind(raw, walk.at)]
    return fields, found or [fine(PLACE, f"{len(raw)} 字节，与模式逐字段相符")]


def _broken(broken: Broken) -> Finding:
    place = f"字段 {broken.path}" if broken.path else PLACE
    return error(
        place,
        f"第 {broken.at} 字节处：{broken.why}",
        "按 schemas/avsc/message.v1.avsc 的字段顺序与类型写，一个也不能少",
    )


def _behind(raw: bytes, end: int) -> Iterator[Finding]:
    left = raw[end:]
    if not left:
        return
    if left in (b"\n", b"\r\n"):
        yield error(PLACE, "末尾多一个换行", "写文件或管道时不要加换行（echo -n）")
    elif left.startswith(MARKER):
        yield error(
            PLACE, f"正文之后还有 {len(left)} 字节，又以 C3 01 开头：两条记录连在了一起", "一条 Kafka 记录只放一条消息"
        )
    elif not left.strip(b"\0"):
        yield error(
            PLACE, f"正文之后还有 {len(left)} 个零字节", "只取缓冲区里写过的部分（例如 ByteBuffer 的 position）"
        )
    else:
        yield error(PLACE, f"正文之后还有 {len(left)} 字节", "多写了字段，或用了别的版本的模式")
        yield from _written_otherwise(raw)


def _texts(walk: Walk) -> Iterator[Finding]:
    for path, raw in walk.bad_texts[:MAX_BAD_TEXTS]:
        guess = "，看来是 GBK" if _is_gbk(raw) else ""
        yield error(
            f"字段 {path}", f"文本不是 UTF-8{guess}", "字符串一律写成 UTF-8（Java：getBytes(StandardCharsets.UTF_8)）"
        )


def _is_gbk(raw: bytes) -> bool:
    """Whether the bytes read as ordinary Chinese in GBK."""
    try:
        return any("\u4e00" <= letter <= "\u9fff" for letter in raw.decode("gbk"))
    except UnicodeDecodeError:
        return False


def _written_otherwise(raw: bytes) -> Iterator[Finding]:
    """The first reading with one field of another type that comes out even."""
    if len(raw) > MAX_TRIED_BYTES:
        return
    for index, schema, what in _other_readings():
        if _comes_out_even(schema, raw):
            name = body_schema()["fields"][index]["name"]
            yield error(f"字段 {name}", f"看来{what}：这样读，其余字段正好到底", f"{name} 的类型见 message.v1.avsc")
            return


def _other_readings() -> Iterator[tuple[int, Schema, str]]:
    plain = body_schema()
    for index, field in enumerate(plain["fields"]):
        for kind, word in WRITTEN_AS:
            if kind != field["type"]:
                yield index, _with_type(plain, index, kind), f"写成了 {word}"
        if isinstance(field["type"], list):
            yield index, _with_type(plain, index, field["type"][1]), "漏写了分支号（0=空，1=有值）"
        yield index, {**plain, "fields": [one for at, one in enumerate(plain["fields"]) if at != index]}, "漏写了"


def _with_type(plain: Schema, index: int, kind: Schema) -> Schema:
    fields = list(plain["fields"])
    fields[index] = {**fields[index], "type": deepcopy(kind)}
    return {**plain, "fields": fields}


def _comes_out_even(schema: Schema, raw: bytes) -> bool:
    walk = Walk(raw, HEAD_BYTES)
    try:
        walk.read(schema)
    except Broken:
        return False
    return walk.at == len(raw) and not walk.bad_texts

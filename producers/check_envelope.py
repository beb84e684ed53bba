"""What foreign bytes begin with, when it is not the head of a Message: the usual mistakes, each with its remedy.

Called by `producers.check_record`; table-driven and pure. It knows beginnings, never what a message says.
"""

import re
from functools import cache
from typing import Final

from producers.avro_walk import Broken, Schema, Walk
from producers.findings import Finding, error
from schemas.codec import HEAD_BYTES, MARKER, MESSAGE, fingerprint_of, released

PLACE: Final = "信封"
HEAD: Final = MESSAGE.head.hex(" ").upper()
REMEDY: Final = f"正文之前须是这十个字节：{HEAD}（见 docs/schemas.md）"

BEGINNINGS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"Obj\x01", "这是 Avro 容器文件（Object Container File），不是单条记录", REMEDY),
    (b"\x1f\x8b", "这是 gzip 压缩数据", "不要自行压缩：由 Kafka 客户端的 compression.type 负责"),
    (b"PK\x03\x04", "这是 zip 文件", "不要自行压缩：由 Kafka 客户端的 compression.type 负责"),
    (b"\xac\xed\x00\x05", "这是 Java 序列化的对象", "value.serializer 用 ByteArraySerializer，并自行写 Avro"),
    (
        b"\xc3\x83\x01",
        "这些字节曾被当作 Latin-1 文本，再写成了 UTF-8（C3 变成了 C3 83）",
        "全程用字节数组，不要经过字符串",
    ),
    (
        b"\xef\xbf\xbd",
        "这些字节曾被当作 UTF-8 文本解码，已有字节丢失（变成了 EF BF BD）",
        "全程用字节数组，不要经过字符串",
    ),
    (b"\xef\xbb\xbf", "以 UTF-8 的 BOM 开头：这是文本文件", REMEDY),
    (b"\xff\xfe", "以 BOM 开头：这是 UTF-16 文本", REMEDY),
    (b"\xfe\xff", "以 BOM 开头：这是 UTF-16 文本", REMEDY),
    (b"MSH|", "这是 HL7 v2 消息", "用 `medpost publish hl7 FILE`，由映射表变成消息"),
    (b"\x0bMSH|", "这是带 MLLP 边界的 HL7 v2 消息", "用 `medpost publish hl7 FILE`，由映射表变成消息"),
    (b"<", "这是 XML（或 HTML）文本", REMEDY),
)
"""How it begins, what it is, what to do; the first that fits counts."""

_HEX_TEXT: Final = re.compile(rb"\s*(?:0x)?[cC]3\s*01(?:\s*[0-9a-fA-F]{2}){8,}\s*")
_BASE64_TEXT: Final = re.compile(rb"\s*wwE[A-Za-z0-9+/_\-\s]{11,}={0,2}\s*")
_CONFLUENT_BYTES: Final = 5
"""A zero byte and the number of a schema in a registry."""


def body_schema() -> Schema:
    """The newest schema of a Message, as written."""
    versions = released()["message"]
    return versions[max(versions)]


def follows_schema(raw: bytes, at: int) -> bool:
    """Whether exactly one Message's body stands from that byte to the end."""
    walk = Walk(raw, at)
    try:
        walk.read(body_schema())
    except Broken:
        return False
    return walk.at == len(raw)


@cache
def _fingerprints() -> dict[bytes, str]:
    """What other fingerprints stand for, in words."""
    known = {
        fingerprint_of(schema): f"这是 {schema['name']} 第 {version} 版的指纹，不是 Message 的"
        for name, versions in released().items()
        for version, schema in versions.items()
        if name != "message"
    }
    ours = MESSAGE.head[len(MARKER) :]
    known[ours[::-1]] = "指纹的字节顺序反了：须为小端（最低字节在前）"
    known[_KEPT_TYPES] = known[_KEPT_TYPES[::-1]] = "指纹计算时保留了 logicalType 的对象写法：规范形式须化简为 long"
    return known


_KEPT_TYPES: Final = bytes.fromhex("9ecb529d9d5aa3ff")
"""What libraries compute that reduce {"type": "long", "logicalType": ...} to {"type": "long"} (Python's avro 1.12)."""


def complaint(raw: bytes) -> Finding | None:
    """What is wrong with the first bytes; None when they are the head of a Message."""
    if raw.startswith(MESSAGE.head):
        return None
    if not raw:
        return error(PLACE, "没有内容（空值）", "每条记录都须有正文")
    if raw.startswith(MARKER):
        return _other_fingerprint(raw)
    return _confluent(raw) or _text(raw) or _by_beginning(raw) or _headless(raw)


def _other_fingerprint(raw: bytes) -> Finding:
    found = raw[len(MARKER) : HEAD_BYTES]
    if len(found) < HEAD_BYTES - len(MARKER):
        return error(PLACE, f"只有 {len(raw)} 字节：在指纹中间就结束了（被截断）", REMEDY)
    known = _fingerprints().get(found)
    if known is not None:
        return error(PLACE, known, REMEDY)
    return error(PLACE, f"未知的模式指纹 {found.hex()}：本机的 medpost 不认识写入方所用的模式", REMEDY)


def _confluent(raw: bytes) -> Finding | None:
    if raw[0] or len(raw) < _CONFLUENT_BYTES:
        return None
    is_whole = follows_schema(raw, _CONFLUENT_BYTES)
    if not is_whole and follows_schema(raw, 0):  # an empty message_id is a zero, too
        return None
    number = int.from_bytes(raw[1:_CONFLUENT_BYTES], "big")
    after = "；其后的正文是对的" if is_whole else ""
    return error(
        PLACE,
        f"这是 Confluent 格式（00 加 4 字节模式号 {number}），不是单对象编码{after}",
        f"不要用 KafkaAvroSerializer；去掉这 5 个字节，{REMEDY}",
    )


def _text(raw: bytes) -> Finding | None:
    """Bytes shown as text: hexadecimal, base64 or JSON."""
    if _HEX_TEXT.fullmatch(raw):
        return error(PLACE, "这是十六进制文本，不是字节", "加 --hex 再检查；发布时须发字节本身")
    if _BASE64_TEXT.fullmatch(raw):
        return error(PLACE, "这是 base64 文本，不是字节", "加 --base64 再检查；发布时须发字节本身")
    if raw.lstrip()[:1] in (b"{", b"["):
        return error(PLACE, "这是 JSON 文本，不是 Avro", f"{REMEDY}；或用 HTTP 接口、`medpost publish jsonl`")
    return None


def _by_beginning(raw: bytes) -> Finding | None:
    for beginning, what, remedy in BEGINNINGS:
        if raw.startswith(beginning):
            return error(PLACE, what, remedy)
    return None


def _headless(raw: bytes) -> Finding:
    if follows_schema(raw, 0):
        return error(PLACE, "只有 Avro 正文，缺少开头的标记与指纹", REMEDY)
    return error(PLACE, f"开头是 {raw[:2].hex(' ').upper()}，不是 C3 01（Avro 单对象编码）", REMEDY)

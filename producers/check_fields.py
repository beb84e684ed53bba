"""What is wrong with the fields of a message, whoever sends it: names, ids, recipient, texts and times.

Called by `producers.check_record`; pure and table-driven (`CHECKS`). What depends on the registry (types, grants,
parameters) is asked elsewhere. It names fields, never what is in them.
"""

from collections.abc import Callable, Iterator
from typing import Final

from producers import check_times
from producers.findings import Finding, error, fine, warning
from schemas import ids
from schemas.errors import Permanent
from schemas.limits import NAME, REFERENCE_CHARS
from schemas.records import Message
from schemas.statuses import LANES

_PARTS: Final = ("text", "rich", "link")
REPLACED: Final = "\ufffd"

Check = Callable[[Message, int], Iterator[Finding]]
"""From a message and the time now (UTC milliseconds) to findings."""


def check(message: Message, now_ms: int) -> list[Finding]:
    """Everything that can be said about a message without the registry."""
    return [finding for look in CHECKS for finding in look(message, now_ms)]


def _names(message: Message, _now_ms: int) -> Iterator[Finding]:
    for name, value in (("app_id", message.app_id), ("type", message.type)):
        if not value:
            yield error(f"字段 {name}", "缺失（空）", "必填")
        elif NAME.fullmatch(value) is None:
            yield error(f"字段 {name}", "不是名称：须为小写字母开头的字母、数字与 _ . -", "用登记的标识，不是中文名")


def _identity(message: Message, _now_ms: int) -> Iterator[Finding]:
    if len(message.reference) > REFERENCE_CHARS or not message.reference.isprintable():
        yield error("字段 reference", f"须为至多 {REFERENCE_CHARS} 个可打印字符")
    if message.message_id:
        yield from _given_id(message)
    elif message.reference:
        yield fine(
            "消息编号",
            f"由 app_id 与 reference 得出：{ids.show(ids.from_reference(message.app_id, message.reference))}",
        )
    else:
        yield warning(
            "字段 reference", "既无 reference 也无 message_id：重发会成为另一条消息", "给出自己的业务编号 reference"
        )


def _given_id(message: Message) -> Iterator[Finding]:
    try:
        ids.parse(message.message_id)
    except Permanent:
        text = "不是 UUID（如 0199a5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b）"
        if message.reference:
            yield warning("字段 message_id", f"{text}；已有 reference，编号由它得出，此值不起作用", "留空")
        else:
            yield error("字段 message_id", text, "用 UUID（第 7 版最好），或留空而给出 reference")


def _recipient(message: Message, _now_ms: int) -> Iterator[Finding]:
    asked = message.recipient
    if asked is None and not message.contact:
        yield error("字段 recipient", "缺失：没有接收人", "给出 id_type 与 id_value，例如 patient_id 与病人编号")
    elif asked is not None and not (asked.id_type and asked.id_value) and not _is_by_contact(message):
        yield error("字段 recipient", "id_type 与 id_value 须都给出")
    if message.contact:
        yield warning("字段 contact", "自带地址：须有相应授权，否则被拒绝（channel_not_granted）", "通常只给 recipient")


def _is_by_contact(message: Message) -> bool:
    """Whether an empty recipient stands beside addresses of its own."""
    asked = message.recipient
    return bool(message.contact) and asked is not None and not (asked.id_type or asked.id_value)


def _choices(message: Message, _now_ms: int) -> Iterator[Finding]:
    if message.priority and message.priority not in LANES:
        yield error("字段 priority", f"须为 {'、'.join(LANES)} 之一，或留空")
    odd = {part.kind for part in message.content} - set(_PARTS)
    if odd:
        yield error("字段 content", f"每部分的 kind 须为 {'、'.join(_PARTS)} 之一")
    if len(set(message.channels)) < len(message.channels):
        yield warning("字段 channels", "有重复的渠道")


def _times(message: Message, now_ms: int) -> Iterator[Finding]:
    given = {
        "send_at": message.send_at,
        "expires_at": message.expires_at,
        "source.time": message.source.time,
        "created_at": message.created_at or None,
    }
    wrong = [
        finding for name, value in given.items() if value is not None for finding in check_times.check(name, value)
    ]
    yield from wrong
    if not message.created_at:
        yield warning("字段 created_at", "缺失（0）", check_times.REMEDY)
    if not wrong:
        yield from check_times.made(message.created_at, now_ms)
        yield from check_times.life(message.send_at, message.expires_at, now_ms)


def _texts(message: Message, _now_ms: int) -> Iterator[Finding]:
    spoken = {**message.personalisation, "content": "".join(part.text for part in message.content)}
    if any(REPLACED in text for text in spoken.values()):
        yield warning("文本", "含 U+FFFD（�）：转换字符集时已经丢字", "在源头按正确的字符集读取（常见为 GBK）")
    if any(_is_twice_encoded(text) for text in spoken.values()):
        yield warning("文本", "看来被编码了两次（UTF-8 当作 Latin-1 读，再写成 UTF-8）", "只编码一次")


def _is_twice_encoded(text: str) -> bool:
    """Whether the letters are the bytes of Chinese in UTF-8."""
    try:
        return any("\u4e00" <= letter <= "\u9fff" for letter in text.encode("latin-1").decode("utf-8"))
    except (UnicodeEncodeError, UnicodeDecodeError):
        return False


CHECKS: Final[tuple[Check, ...]] = (_names, _identity, _recipient, _choices, _times, _texts)

"""Whether a record's topic, key and headers are as medpost wants them: lane, key rule, partition, token.

Called by `producers.check_record`; pure. A token is judged by everything but its signature, which needs the registry.
It never shows a token, a header or a key's text.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from infra import tokens
from producers.findings import Finding, error, fine, warning
from schemas.errors import Permanent, Reason
from schemas.partitioner import murmur2, partition_of
from schemas.records import Message
from schemas.statuses import LANES

AUTHORIZATION: Final = "authorization"
_SCHEME: Final = "bearer "
KEY_BYTES: Final = 16
KEY_REMEDY: Final = "键取 SHA-256(app_id + 00 + reference) 的前 16 字节（docs/schemas.md, Key and partition）"
TOPICS: Final = tuple(f"messages.{lane}" for lane in LANES)
REFUSALS: Final = {
    Reason.TOKEN_MALFORMED: "令牌不成形",
    Reason.TOKEN_SIGNATURE: "令牌不属于该应用",
    Reason.TOKEN_AUDIENCE: "令牌的 aud 须为 medpost",
    Reason.TOKEN_EXPIRED: "令牌已过期：发布时才附上，不要在排队时",
    Reason.TOKEN_NOT_YET_VALID: "令牌尚未生效：请校准发送方的时钟",
}


def check_topic(topic: str, namespace: str) -> Iterator[Finding]:
    """Whether systems write to that topic."""
    name = topic.removeprefix(f"{namespace}.") if namespace else topic
    if name in TOPICS:
        yield fine("主题", name)
    else:
        yield error("主题", "业务系统只写 messages.<lane>", f"用 {'、'.join(TOPICS)}")


def check_key(key: bytes | None, message: Message | None, partitions: int) -> Iterator[Finding]:
    """Whether the key says nothing about anybody; and its partition."""
    if not key:
        yield warning("键", "没有键：同一接收人的消息可能乱序", KEY_REMEDY)
        return
    if _is_readable(key):
        yield _readable(key)
    elif len(key) != KEY_BYTES:
        yield warning("键", f"有 {len(key)} 字节，规则是 {KEY_BYTES} 字节", KEY_REMEDY)
    elif message is not None and key == key_by_reference(message):
        yield fine("键", "与 SDK 所用的相同（app_id 与 reference 的散列）")
    else:
        yield fine("键", f"{KEY_BYTES} 字节")
    signed = int.from_bytes(murmur2(key).to_bytes(4, "big"), "big", signed=True)
    yield fine("分区", f"murmur2 = {signed}；共 {partitions} 个分区时为 {partition_of(key, partitions)}")


def key_by_reference(message: Message) -> bytes:
    """The key that the SDK gives a record without a recipient salt."""
    return hashlib.sha256(f"{message.app_id}\0{message.reference or message.message_id}".encode()).digest()[:KEY_BYTES]


def _is_readable(key: bytes) -> bool:
    return key.isascii() and key.decode("ascii").isprintable()


def _readable(key: bytes) -> Finding:
    if len(key) == 36 and key.count(b"-") == 4:
        return warning("键", "是 36 个字符的 UUID 文本", "用它的 16 个原始字节")
    if key.isdigit() or (key[:-1].isdigit() and key[-1:] in b"xX"):
        return error("键", f"是 {len(key)} 位号码：键里不得有手机号、证件号或病人编号", KEY_REMEDY)
    return warning("键", "是可读文本：键里不得有个人信息", KEY_REMEDY)


def check_partition(key: bytes | None, partition: int, partitions: int) -> Iterator[Finding]:
    """Whether the record lies where its key belongs."""
    if key and partition != partition_of(key, partitions):
        where = partition_of(key, partitions)
        yield error(
            "分区",
            f"在 {partition}，按键应在 {where}",
            "用 Kafka Java 的缺省分区器；librdkafka 设 partitioner=murmur2_random",
        )


def check_headers(headers: Sequence[tuple[str, bytes]], message: Message | None, at_ms: int) -> Iterator[Finding]:
    """Whether there is one token, of the message's application, that is valid at `at_ms`."""
    found = [value for name, value in headers if name == AUTHORIZATION]
    odd = [name for name, _ in headers if name != AUTHORIZATION and name.lower() == AUTHORIZATION]
    if not found:
        hint = "；Kafka 的消息头区分大小写，须全为小写" if odd else ""
        yield error("令牌", f"没有消息头 authorization{hint}", "加消息头 authorization: Bearer <JWT>")
    elif len(found) > 1:
        yield error("令牌", "消息头 authorization 给了两次")
    else:
        yield from _bearer(found[0], message, at_ms)


def _bearer(value: bytes, message: Message | None, at_ms: int) -> Iterator[Finding]:
    text = value.decode("utf-8", "surrogateescape")
    if text[: len(_SCHEME)].lower() != _SCHEME:
        yield error("令牌", "消息头 authorization 不是 Bearer <JWT>", "前缀 Bearer 与一个空格")
        return
    token = text[len(_SCHEME) :].strip()
    try:
        claims = tokens.unverified(token, at_ms)
    except Permanent as refusal:
        yield error("令牌", f"{REFUSALS.get(refusal.reason, '令牌会被拒绝')}（{refusal.reason}：{refusal.detail}）")
        return
    if message is not None and claims.app_id != message.app_id:
        yield error("令牌", "令牌的 iss 不是消息的 app_id", "用该应用自己的密钥签发")
        return
    left_s = claims.expires_at_s - at_ms / 1000
    yield fine(
        "令牌", f"形式正确，密钥 {claims.key_id or '（未写 kid）'}，还有 {left_s:.0f} 秒；签名须由登记的密钥核对"
    )

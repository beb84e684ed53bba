"""What is wrong with a Kafka record that somebody made for medpost: envelope, body, fields, key, headers.

Called by `medpost check-record`; pure, the time is handed in. Whatever the bytes are, it answers with findings: it
never raises, and its work is bounded by their number. It never says what is in a message; what depends on the registry
is asked by the caller, of the record that it returns.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from producers import check_body, check_envelope, check_fields, check_json, check_transport
from producers.findings import Finding, error
from schemas.codec import MESSAGE
from schemas.errors import Permanent
from schemas.records import Message

MAX_BYTES: Final = 1_000_000
"""A little less than Kafka's default for the largest record (max.request.size, 1 MiB)."""


class Submitted(Struct, frozen=True):
    """A record as somebody made it; None or "": not told, and so not looked at.

    `partitions` is the topic's count, `partition` where the record lies.
    """

    value: bytes
    topic: str = ""
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] | None = None
    partition: int | None = None
    partitions: int = 4
    namespace: str = ""


class Checked(Struct, frozen=True):
    """What was found; `message` is there when intake could read the record."""

    findings: tuple[Finding, ...]
    message: Message | None = None


def check(record: Submitted, now_ms: int) -> Checked:
    """Everything that can be said about a record without the registry."""
    message, findings = _value(record.value, now_ms)
    if record.topic:
        findings += check_transport.check_topic(record.topic, record.namespace)
    if record.key is not None:
        findings += check_transport.check_key(record.key, message, record.partitions)
        if record.partition is not None:
            findings += check_transport.check_partition(record.key, record.partition, record.partitions)
    if record.headers is not None:
        findings += check_transport.check_headers(record.headers, message, now_ms)
    return Checked(tuple(findings), message)


def _value(raw: bytes, now_ms: int) -> tuple[Message | None, list[Finding]]:
    if len(raw) > MAX_BYTES:
        return None, [error("大小", f"{len(raw)} 字节：超过 {MAX_BYTES} 字节，Kafka 不收", "缩短文本，或分成几条消息")]
    complaint = check_envelope.complaint(raw)
    if complaint is not None:
        return None, [complaint, *_beyond_the_envelope(raw, now_ms)]
    fields, findings = check_body.read(raw)
    if fields is not None:
        findings += check_fields.check(_message(fields), now_ms)
    try:
        return MESSAGE.decode(raw), findings
    except Permanent as refusal:  # the pipeline's own reader has the last word
        return None, findings if _has_error(findings) else [*findings, error(check_body.PLACE, refusal.detail)]


def _beyond_the_envelope(raw: bytes, now_ms: int) -> list[Finding]:
    """What else is wrong with JSON, so that it is not found out only when it is Avro."""
    if raw.lstrip()[:1] != b"{":
        return []
    fields, findings = check_json.read(raw)
    if fields is None:
        return findings
    try:
        return check_fields.check(_message(fields), now_ms)
    except UnicodeEncodeError:
        return [error("JSON", "文本里有半个代理对（\\\\ud800 之类）：无法写成 UTF-8")]


def _has_error(findings: list[Finding]) -> bool:
    return any(finding.level == "error" for finding in findings)


def _message(fields: dict[str, Any]) -> Message:
    """The fields as a record; what a map or record lacks has its default."""
    return msgspec.convert(fields, Message)

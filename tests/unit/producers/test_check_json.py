"""JSON that somebody sent instead of Avro is held against the schema, too."""

from typing import Any

import msgspec
import pytest

from producers.check_json import MAX_FINDINGS, read
from tests.unit.producers.foreign import FIELDS, said


def test_the_members_of_a_good_one_come_back() -> None:
    """Nothing to say."""
    assert read(msgspec.json.encode(FIELDS)) == (FIELDS, [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"personalisation": "x"}, ["personalisation", "须为对象", "这里是文本"]),
        ({"personalisation": {"n": 12}}, ["每个值须为文本"]),
        ({"created_at": "2026-09-21T10:13:20Z"}, ["created_at", "须为整数", "毫秒数"]),
        ({"created_at": True}, ["布尔值"]),
        ({"send_at": 1.5}, ["小数"]),
        ({"channels": "sms"}, ["须为列表"]),
        ({"channels": [1]}, ["channels[0]"]),
        ({"recipient": {"id_type": 3}}, ["recipient.id_type"]),
        ({"source": None}, ["source", "null"]),
        ({"phone": "13800001001"}, ["1 个不认识的成员"]),
    ],
)
def test_a_wrong_member_is_named(changes: dict[str, Any], words: list[str]) -> None:
    """With the type that it must have and the one that it has; never with its value."""
    fields, findings = read(msgspec.json.encode({**FIELDS, **changes}))
    assert fields is None
    assert [word for word in words if word not in said(findings)] == []
    assert "13800001001" not in said(findings)


@pytest.mark.parametrize("raw", [b"{", b"[" * 100_000, b"[]", b"{\xff}", b'"x"', b"7"])
def test_what_is_no_object_is_said_to_be_none(raw: bytes) -> None:
    """Broken, too deep, not UTF-8, or something else."""
    fields, findings = read(raw)
    assert fields is None
    assert len(findings) == 1


def test_the_list_of_complaints_is_bounded() -> None:
    """A thousand wrong items are not a thousand lines."""
    _, findings = read(msgspec.json.encode({"channels": [1] * 1_000}))
    assert len(findings) == MAX_FINDINGS

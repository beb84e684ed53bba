"""Every field of a message is looked at; a good one has nothing against it."""

from typing import Any

import pytest
from msgspec.structs import replace

from producers.check_fields import check
from producers.findings import Level
from schemas.records import ContentPart, RecipientRef
from tests.unit.producers.foreign import GOOD, NOW_MS, said


def test_a_good_message_has_nothing_against_it() -> None:
    """And its id is told, so that it can be looked up."""
    findings = check(GOOD, NOW_MS)
    assert [one.level for one in findings] == [Level.OK]
    assert "9d103cd3-c74c-8b7a-a4ed-fb32e660f239" in said(findings)


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({"app_id": ""}, "error", "app_id"),
        ({"app_id": "检验"}, "error", "app_id"),
        ({"type": ""}, "error", "type"),
        ({"reference": "x" * 257}, "error", "reference"),
        ({"reference": "a\nb"}, "error", "reference"),
        ({"reference": ""}, "warning", "重发会成为另一条消息"),
        ({"message_id": "42"}, "warning", "不起作用"),
        ({"message_id": "42", "reference": ""}, "error", "不是 UUID"),
        ({"recipient": None}, "error", "没有接收人"),
        ({"recipient": RecipientRef("patient_id", "")}, "error", "须都给出"),
        ({"contact": {"sms": "13800001001"}}, "warning", "channel_not_granted"),
        ({"priority": "high"}, "error", "urgent"),
        ({"content": [ContentPart("html", "x")]}, "error", "kind"),
        ({"channels": ["sms", "sms"]}, "warning", "重复"),
        ({"created_at": 0}, "warning", "缺失"),
        ({"created_at": NOW_MS // 1000}, "error", "秒"),
        ({"send_at": NOW_MS * 1000}, "error", "微秒"),
        ({"expires_at": NOW_MS - 1}, "error", "expired"),
        ({"personalisation": {"item": "\ufffd\ufffd"}}, "warning", "U+FFFD"),
        ({"personalisation": {"item": "血常规".encode().decode("latin-1")}}, "warning", "两次"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], level: str, word: str) -> None:
    """By its field, as error or warning."""
    lines = said(check(replace(GOOD, **changes), NOW_MS)).splitlines()
    assert [line for line in lines if line.startswith(level) and word in line]


def test_nothing_of_a_message_is_shown() -> None:
    """People paste findings into tickets."""
    spoken = replace(GOOD, recipient=RecipientRef("mobile", ""), contact={"sms": "13800001001"}, priority="张三")
    text = said(check(spoken, NOW_MS))
    assert [word for word in ("13800001001", "张三", "P0001", "血常规") if word in text] == []

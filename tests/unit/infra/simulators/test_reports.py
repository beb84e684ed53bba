"""What becomes of messages: every scripted recipient's receipts, pulled, pushed and asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from infra.receipts.aliyun import read_details, read_push
from infra.receipts.tencent import read_pulled
from infra.receipts.tencent import read_push as read_callback
from infra.simulators.exchange import Inquiry, Reply
from infra.simulators.house import House
from infra.simulators.inbox import TAKEN, Entry, Journal
from infra.simulators.reports import AFTER_MS, LATER_MS, Reports, reports_of

NOW = 1_760_000_000_000
ENTRY = Entry(1, NOW, "aliyun", "sms", TAKEN, recipient="13800130000", key="o1", segments=1)


def entry(seq: int, tail: str, provider: str = "aliyun") -> Entry:
    """A message to a recipient with these last digits."""
    return structs.replace(ENTRY, seq=seq, recipient=f"1380013{tail}", key=f"o{seq}", provider=provider)


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        ("0000", [(AFTER_MS, True, "DELIVRD")]),
        ("0004", [(AFTER_MS, False, "UNDELIV")]),
        ("0005", []),
        ("0010", [(0, True, "DELIVRD")]),
        ("0011", [(AFTER_MS, True, "DELIVRD"), (AFTER_MS + LATER_MS, True, "DELIVRD")]),
        ("0012", [(AFTER_MS, True, "DELIVRD"), (AFTER_MS + LATER_MS, False, "UNDELIV")]),
    ],
)
def test_the_last_digits_script_the_receipts(tail: str, told: list[tuple[int, bool, str]]) -> None:
    """Late, failed, none, before the answer, twice, contradictory."""
    found = reports_of(ENTRY, tail, AFTER_MS)
    assert [(one.due_ms - NOW, one.is_delivered, one.code) for one in found] == told
    assert not any(one.is_forged for one in found)


def test_pulled_once_and_only_when_due() -> None:
    """In the order in which they fall due, so many at once, and never what is forged."""
    reports = Reports()
    for seq, tail in enumerate(("0000", "0010", "0013"), start=1):
        reports.add(entry(seq, tail), tail, AFTER_MS)
    assert [one.seq for one, _ in reports.pull("aliyun", NOW, 9)] == [2]
    assert [one.seq for one, _ in reports.pull("aliyun", NOW + AFTER_MS, 9)] == [1]
    assert reports.pull("aliyun", NOW + AFTER_MS, 9) == []
    assert [one.seq for one, _ in reports.push("aliyun", NOW + AFTER_MS, 2)] == [2, 1]


def test_what_is_known_of_one_message_changes_with_its_receipts() -> None:
    """Nothing before the first is due, then the newest; nothing of a message that was never taken."""
    reports = Reports()
    one = entry(1, "0012")
    reports.add(one, "0012", AFTER_MS)
    due_ms = one.at + AFTER_MS
    known = [reports.last(1, at_ms) for at_ms in (due_ms - 1, due_ms, due_ms + LATER_MS)]
    assert [report and report.is_delivered for report in known] == [None, True, False]
    assert reports.last(2, due_ms) is None


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Three messages taken by each SMS provider."""
    made = House(Journal(tmp_path / "journal.jsonl"))
    for provider, first in (("aliyun", 1), ("tencent", 11)):
        made.tell("receipts", {"provider": provider, "url": f"http://r/{provider}/secret"})
        for seq, tail in enumerate(("0000", "0004", "0013"), start=first):
            told = structs.asdict(entry(seq, tail, provider))
            made.tell("call", told)
    return made


def asked(house: House, provider: str, inquiry: Inquiry) -> Any:
    """What a provider answers."""
    answering: Any = house._by_name[provider]
    reply: Reply = answering.answer(inquiry, house.reports)
    return json.loads(reply.body)


def test_receipts_are_pushed_in_the_vendors_words(house: House) -> None:
    """And read back by our own reader; the forged one goes to a path that nobody was told."""
    found = {push.url: push.body for push in house.pushes(NOW + AFTER_MS)}
    assert found.keys() == {f"http://r/{name}/secret{x}" for name in ("aliyun", "tencent") for x in ("", "x")}
    pushed = read_push(found["http://r/aliyun/secret"])
    assert [(one.status, one.reason, one.echo) for one in pushed] == [
        ("delivered", "", "o1"),
        ("failed", "recipient_unreachable", "o2"),
    ]
    assert [one.provider_message_id[:5] for one in read_callback(found["http://r/tencent/secret"])] == ["5000:"] * 2
    assert house.pushes(NOW + AFTER_MS) == []


def test_nothing_is_pushed_to_nobody(house: House) -> None:
    """An empty address stops it."""
    for provider in ("aliyun", "tencent"):
        house.tell("receipts", {"provider": provider})
    assert house.pushes(NOW + 10 * AFTER_MS) == []


def test_aliyun_tells_what_it_sent_to_a_number(house: House) -> None:
    """1 on its way, then 2 or 3; by day in China, one page at a time."""
    query = {"PhoneNumber": "13800130004", "SendDate": "20251009", "PageSize": "10", "CurrentPage": "1"}
    early, late = (Inquiry("QuerySendDetails", query, NOW + after) for after in (0, AFTER_MS))
    assert [one.status for one in read_details(asked(house, "aliyun", early))] == ["accepted"]
    (found,) = read_details(asked(house, "aliyun", late), "b")
    assert (found.status, found.code, found.echo) == ("failed", "UNDELIV", "o2")
    for change in ({"SendDate": "20251008"}, {"CurrentPage": "2"}, {"BizId": "other"}, {"PhoneNumber": "13800139999"}):
        assert read_details(asked(house, "aliyun", structs.replace(late, asked={**query, **change}))) == []
    for wrong in ({"PageSize": "51"}, {"PhoneNumber": "x"}, {"SendDate": "today"}, {"CurrentPage": "0"}):
        said = asked(house, "aliyun", structs.replace(late, asked={**query, **wrong}))
        assert said["Code"] == "isv.INVALID_PARAMETERS"


def test_tencent_hands_out_each_receipt_once(house: House) -> None:
    """With our session context; a wrong application gets an error."""
    pull = Inquiry("PullSmsSendStatus", {"SmsSdkAppId": "1400000001", "Limit": 100}, NOW + AFTER_MS)
    found = read_pulled(asked(house, "tencent", pull))
    assert [(one.status, one.echo) for one in found] == [("delivered", "o11"), ("failed", "o12")]
    assert read_pulled(asked(house, "tencent", pull)) == []
    wrong = asked(house, "tencent", structs.replace(pull, asked={"SmsSdkAppId": "9", "Limit": 100}))
    assert "Error" in wrong["Response"]


def test_a_restart_knows_the_same(house: House, tmp_path: Path) -> None:
    """From the journal alone; what was pushed is pushed again, as vendors do."""
    first = house.pushes(NOW + AFTER_MS)
    assert House(Journal(tmp_path / "journal.jsonl")).pushes(NOW + AFTER_MS) == first

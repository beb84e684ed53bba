from typing import Any

import msgspec
import pytest
from msgspec import structs

from infra.snapshot import Snapshot
from producers.gateway.accepting import Desk, Prepared, id_in_batch
from producers.gateway.keys import Caller
from producers.gateway.problems import Refused
from schemas import ids
from schemas.codec import MESSAGE
from schemas.configuration import DISABLED, AppConfig, MessageType, Parameter, TypeChannel
from schemas.records import Source

NOW_MS = 1_700_000_000_000
HIS = AppConfig("his", types=["critical_value", "gone", "off"], channels=["*"])
KIND = MessageType(
    "critical_value",
    lane="urgent",
    parameters=[Parameter("item", max_chars=4), Parameter("note", required=False)],
    channels=[TypeChannel("sms"), TypeChannel("webhook")],
)
SNAPSHOT = Snapshot(
    1,
    apps={"his": HIS},
    types={
        "critical_value": KIND,
        "off": structs.replace(KIND, type="off", status=DISABLED),
        "other": structs.replace(KIND, type="other"),
    },
)
GOOD: dict[str, Any] = {
    "type": "critical_value",
    "recipient": {"id_type": "staff_id", "id_value": "S1"},
    "personalisation": {"item": "血清钾"},
    "reference": "r1",
}


def prepared(app: AppConfig = HIS, spare_id: str = "", **changes: Any) -> Prepared:
    """The record of a good message with changes."""
    raw = msgspec.json.encode({**GOOD, **changes})
    return Desk(SNAPSHOT, "h1").prepare(raw, Caller(app, b""), NOW_MS, spare_id)


def test_a_good_message_becomes_a_record_of_its_lane() -> None:
    """Everything that was given is in it, and the application is the caller's."""
    found = prepared(
        send_at="2026-01-05T14:30:00+08:00",
        expires_at=1_800_000_000_000,
        source={"system": "LIS", "time": 5},
        channels=["sms"],
    )
    message = MESSAGE.decode(found.record.value)
    assert (found.record.topic, message.app_id, message.message_id) == (
        "h1.messages.urgent",
        "his",
        found.record.message_id,
    )
    assert (message.send_at, message.expires_at) == (1_767_594_600_000, 1_800_000_000_000)
    assert (message.source, message.channels) == (Source("LIS", "", 5), ["sms"])
    assert found.record.message_id == ids.show(ids.from_reference("his", "r1"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": "gone"}, [("type_unknown", "/type", 400)]),
        ({"type": "off"}, [("type_disabled", "/type", 403)]),
        ({"type": "other"}, [("type_not_granted", "/type", 403)]),
        ({"contact": {"sms": "1"}}, [("channel_not_granted", "/contact", 403)]),
        ({"recipient": None}, [("missing_parameter", "/recipient", 400)]),
        ({"channels": ["sms", "email"]}, [("channel_not_granted", "/channels", 403)]),
        (
            {"personalisation": {"note": "", "b/c": "", "a": ""}},
            [
                ("missing_parameter", "/personalisation/item", 400),
                ("param_invalid", "/personalisation/a", 400),
                ("param_invalid", "/personalisation/b~1c", 400),
            ],
        ),
        ({"personalisation": {"item": "12345"}}, [("param_invalid", "/personalisation/item", 400)]),
        ({"reference": "a\nb"}, [("param_invalid", "/reference", 400)]),
        ({"reference": "", "message_id": "17"}, [("param_invalid", "/message_id", 400)]),
    ],
)
def test_everything_that_forbids_a_message_is_told(changes: dict[str, Any], told: list[tuple[str, str, int]]) -> None:
    """By code and place, all of it at once."""
    with pytest.raises(Refused) as raised:
        prepared(**changes)
    assert [(one.code, one.source.pointer, one.status) for one in raised.value.problems] == told


def test_a_grant_of_everything_and_of_addresses_is_heeded() -> None:
    """A star stands for all types; `contact` makes the recipient optional."""
    assert prepared(structs.replace(HIS, types=["*"]), type="other").record.lane == "urgent"
    assert prepared(structs.replace(HIS, contact=True), recipient=None, contact={"sms": "13800000000"})


def test_a_message_of_a_batch_without_a_name_is_known_by_its_place() -> None:
    """The same batch again is the same messages; a reference or an id of its own goes first."""
    spare = id_in_batch("his", "b1", 7)
    assert spare == id_in_batch("his", "b1", 7) != id_in_batch("his", "b1", 8)
    assert prepared(spare_id=spare, reference="").record.message_id == spare
    assert prepared(spare_id=spare).record.message_id == ids.show(ids.from_reference("his", "r1"))


def test_everything_wrong_with_a_shape_is_told_at_once() -> None:
    """Unknown members, a missing one, wrong kinds at whatever depth: one round trip, not five."""
    body = {
        "tipe": "x", "extra": 1, "recipient": {"id_type": 7, "id_value": "S1"}, "send_at": "tomorrow",
        "priority": "asap", "personalisation": {"item": "血清钾"},
    }  # fmt: skip
    with pytest.raises(Refused) as told:
        Desk(SNAPSHOT, "h1").prepare(msgspec.json.encode(body), Caller(HIS, b""), NOW_MS)
    assert [(one.code, one.source.pointer) for one in told.value.problems] == [
        ("param_invalid", "/tipe"), ("param_invalid", "/extra"), ("missing_parameter", "/type"),
        ("param_invalid", "/recipient/id_type"), ("param_invalid", "/priority"), ("param_invalid", "/send_at"),
    ]  # fmt: skip


def test_the_list_of_complaints_is_bounded() -> None:
    """A thousand unknown members are not a thousand answers; in a batch each message has one complaint."""
    body = msgspec.json.encode({f"m{number}": 1 for number in range(1_000)})
    desk = Desk(SNAPSHOT, "h1")
    for raw, count in ((body, 20), (msgspec.Raw(body), 1)):
        with pytest.raises(Refused) as told:
            desk.prepare(raw, Caller(HIS, b""), NOW_MS)
        assert len(told.value.problems) == count
        assert told.value.problems[0].source.pointer == "/m0"


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"x"'])
def test_what_is_no_object_is_one_complaint(raw: bytes) -> None:
    """There is no member to name."""
    with pytest.raises(Refused) as told:
        Desk(SNAPSHOT, "h1").prepare(raw, Caller(HIS, b""), NOW_MS)
    assert [(one.code, one.source.pointer) for one in told.value.problems] == [("param_invalid", "")]


@pytest.mark.parametrize("tail", [b"", b"garbage", b'"x": ' + b"[" * 100_000, b'"x": "\xff"}'])
def test_what_breaks_behind_the_first_complaint_is_still_one_refusal(tail: bytes) -> None:
    """The member that was met first is named."""
    with pytest.raises(Refused) as told:
        Desk(SNAPSHOT, "h1").prepare(b'{"tipe": 1, ' + tail, Caller(HIS, b""), NOW_MS)
    assert [(one.code, one.source.pointer) for one in told.value.problems] == [("param_invalid", "/tipe")]

"""The day's outcomes as a table that can be read."""

from console.sample import outcomes
from infra.queries import OutcomeCount
from infra.snapshot import Snapshot
from schemas.configuration import ChannelConfig, MessageType

SNAPSHOT = Snapshot(
    types={
        "follow_up": MessageType(type="follow_up", name="随访", lane="bulk"),
        "critical_value": MessageType(type="critical_value", name="危急值", lane="urgent"),
    },
    channels={name: ChannelConfig(name) for name in ("sms", "webhook")},
)


def count(kind: str, channel: str, status: str, messages: int) -> OutcomeCount:
    """So many messages, within a second and two."""
    return OutcomeCount(type=kind, channel=channel, status=status, messages=messages, p50_ms=1000, p95_ms=2040)


FOUND = [
    count("follow_up", "sms", "delivered", 28),
    count("follow_up", "", "expired", 2),
    count("critical_value", "sms", "sent", 3),
    count("critical_value", "sms", "delivered", 1),
    count("critical_value", "webhook", "delivered", 6),
    count("", "", "rejected", 4),
    count("no_such_type", "", "rejected", 1),
]


def test_a_row_for_each_type_the_urgent_first_and_the_unknown_last() -> None:
    """Every message stands in one row."""
    rows = outcomes.rows(FOUND, SNAPSHOT)
    assert [row["type"] for row in rows] == ["危急值 critical_value", "随访 follow_up", outcomes.UNKNOWN_TYPE]
    assert [row["messages"] for row in rows] == [10, 30, 5]
    assert all(row.keys() == outcomes.headings(SNAPSHOT).keys() for row in rows)


def test_a_column_for_each_channel_and_one_for_what_did_not_arrive() -> None:
    """Levels of proof are added up; nothing stands where nothing went."""
    urgent, bulk, unknown = outcomes.rows(FOUND, SNAPSHOT)
    assert (urgent["sms"], urgent["webhook"], urgent["failed"]) == ("4 · 1.0s/2.0s", "6 · 1.0s/2.0s", "")
    assert (bulk["sms"], bulk["webhook"], bulk["failed"]) == ("28 · 1.0s/2.0s", "", "已过期 2")
    assert unknown["failed"] == "已拒绝 5"


def test_one_line_sums_it_up() -> None:
    """What arrived, and what did not by status."""
    assert outcomes.totals(FOUND) == "送出 38 条；未送达：已拒绝 5、已过期 2"
    assert outcomes.totals(FOUND[:1]) == "送出 28 条"

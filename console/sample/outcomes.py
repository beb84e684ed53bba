"""The day's outcomes as one table that can be read at a glance: a row for each message type, a column for each channel.

Called by `medpost sample`. Values only: it asks nobody and prints nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from console import words
from infra.queries import OutcomeCount
from infra.snapshot import Snapshot
from schemas.statuses import DONE_BY_LEVEL, LANE_RANK, Lane

SUCCEEDED: Final = frozenset(DONE_BY_LEVEL.values())
UNKNOWN_TYPE: Final = "（未知类型）"
TIMED: Final = "p50/p95 从受理算到最高一级证明：有回执的短信，算到回执取回之时"
"""What the times in the table are; said below it."""
ONCE: Final = (
    "一条消息可同时走几个渠道（如电子发票：微信与邮件），只计在使它结束的那个渠道；各渠道实际收到的条数见第 6 步"
)
"""Why a channel that carried many messages may be empty in the table."""


def headings(snapshot: Snapshot) -> dict[str, str]:
    """The table's columns: type, lane, number, each channel of the registry, and what did not arrive."""
    channels = {name: f"{name} 条·p50/p95" for name in snapshot.channels}
    return {"type": "类型", "lane": "优先级", "messages": "条数", **channels, "failed": "未送达"}


def rows(found: Iterable[OutcomeCount], snapshot: Snapshot) -> list[dict[str, object]]:
    """A row for each type that occurred, the urgent ones first; what no type of the registry has comes last."""
    by_type: dict[str, list[OutcomeCount]] = {}
    for one in found:
        by_type.setdefault(one.type if one.type in snapshot.types else "", []).append(one)
    known = sorted(by_type.keys() - {""}, key=lambda name: (LANE_RANK[Lane(_lane(name, snapshot))], name))
    return [_row(name, by_type[name], snapshot) for name in (*known, *(by_type.keys() & {""}))]


def totals(found: Sequence[OutcomeCount]) -> str:
    """One line: how many arrived, and how many did not, by status."""
    arrived = sum(one.messages for one in found if one.status in SUCCEEDED)
    left = _failed(one for one in found)
    return f"送出 {arrived} 条" + (f"；未送达：{left}" if left else "")


def _lane(name: str, snapshot: Snapshot) -> str:
    return snapshot.types[name].lane


def _row(name: str, found: Sequence[OutcomeCount], snapshot: Snapshot) -> dict[str, object]:
    row: dict[str, object] = {
        "type": f"{snapshot.types[name].name} {name}" if name else UNKNOWN_TYPE,
        "lane": words.LANES.get(_lane(name, snapshot), "") if name else "",
        "messages": sum(one.messages for one in found),
        "failed": _failed(found),
    }
    for channel in snapshot.channels:
        row[channel] = _cell([one for one in found if one.channel == channel and one.status in SUCCEEDED])
    return row


def _cell(found: Sequence[OutcomeCount]) -> str:
    """How many arrived, and in which time; where two levels of proof meet, the one with more messages is timed."""
    if not found:
        return ""
    most = max(found, key=lambda one: one.messages)
    return f"{sum(one.messages for one in found)} · {_short(most.p50_ms)}/{_short(most.p95_ms)}"


def _short(span_ms: float) -> str:
    return f"{span_ms / 1000:.1f}s"


def _failed(found: Iterable[OutcomeCount]) -> str:
    counts: dict[str, int] = {}
    for one in found:
        if one.status not in SUCCEEDED:
            counts[one.status] = counts.get(one.status, 0) + one.messages
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return "、".join(f"{words.of_status(status).split()[0]} {count}" for status, count in ordered)

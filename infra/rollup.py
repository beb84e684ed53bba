"""Rebuilds the figures of the days that got new events: whole days, from what FINAL leaves, swapped in at once.

Called every minute by one of the trace writers, which also mark the days. A failure or kill at any point leaves the
day dirty, and the next pass builds it again. Two builders at once do no harm: each builds in a table of its own, and
whoever finds that the other was at the same day marks it again. Never adds to a figure that is already there.
"""

import re
import secrets
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final

from msgspec import Struct

from infra.clickhouse import Store

LEFT_BEHIND_S: Final = 3600
"""Age at which another builder's table is a leftover of a kill; a day takes under a second for 400,000 events."""

_STAGE_NAME: Final = re.compile(r"rollup_stage_(?P<made_at>[0-9]+)_[0-9a-f]+")

DIRTY: Final = """
SELECT accepted_day, toString(max(mark)) AS newest, toString(now64(6, 'UTC')) AS seen_at
FROM dirty_days
GROUP BY accepted_day
HAVING (accepted_day, max(mark)) NOT IN (SELECT accepted_day, max(mark) FROM built_days GROUP BY accepted_day)
ORDER BY accepted_day DESC
"""
MESSAGES: Final = """
INSERT INTO {stage:Identifier}
SELECT
    accepted_day, 'message', app_id, type, lane, channel, status, reason, count(),
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(latency_ms)
FROM message_facts FINAL
WHERE accepted_day = {day:Date}
GROUP BY ALL
"""
DELIVERIES: Final = """
INSERT INTO {stage:Identifier}
SELECT
    accepted_day, 'delivery', app_id, type, lane, channel, status, reason, count(),
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(latency_ms)
FROM events FINAL
WHERE accepted_day = {day:Date} AND stage IN ('outcome', 'receipt')
GROUP BY ALL
"""
BUILT: Final = """
INSERT INTO built_days (accepted_day, builder, mark)
VALUES ({day:Date}, {builder:String}, {mark:DateTime64(6, 'UTC')})
"""
OTHERS: Final = """
SELECT count() AS n FROM built_days
WHERE accepted_day = {day:Date} AND builder != {builder:String} AND built_at >= {seen_at:DateTime64(6, 'UTC')}
"""
MARK: Final = """
INSERT INTO dirty_days
SELECT
    arrayJoin({days:Array(Date)}) AS accepted_day,
    greatest(now64(6, 'UTC'), (SELECT max(mark) FROM dirty_days) + toIntervalMicrosecond(1)) AS mark
"""
"""A mark is later than every mark before it, also when the store's clock was set back."""


class DirtyDay(Struct, frozen=True):
    """A day to build: its newest mark and when the mark was read, both by the store's clock, as text."""

    accepted_day: date
    newest: str
    seen_at: str


def mark(store: Store, days: Iterable[date]) -> None:
    """Mark days dirty: after their rows are visible, or a rebuild could miss them. Raises UnavailableError."""
    store.command(MARK, days=sorted(days))


def dirty_days(store: Store) -> list[DirtyDay]:
    """Days whose newest mark has not been built, the latest day first. Raises UnavailableError."""
    return [DirtyDay(**row) for row in store.rows(DIRTY)]


def rebuild(store: Store, builder: str, may_go_on: Callable[[], bool] = lambda: True) -> list[date]:
    """Build every dirty day; returns the days that were. `builder` names the process; `may_go_on` is asked per day.

    Raises UnavailableError; the days not yet built stay dirty.
    """
    days = dirty_days(store)
    built: list[date] = []
    if not days:
        return built
    sweep(store)
    stage = f"rollup_stage_{_now_s(store)}_{secrets.token_hex(4)}"
    store.command("CREATE TABLE {stage:Identifier} AS rollup_day", stage=stage)
    try:
        for day in days:
            if not may_go_on():
                break
            _build(store, stage, day, builder)
            built.append(day.accepted_day)
    finally:
        store.command("DROP TABLE IF EXISTS {stage:Identifier}", stage=stage)
    return built


def _build(store: Store, stage: str, day: DirtyDay, builder: str) -> None:
    known: dict[str, Any] = {"stage": stage, "day": day.accepted_day}
    store.command(MESSAGES, **known)
    store.command(DELIVERIES, **known)
    partition = f"'{day.accepted_day.isoformat()}'"
    if store.rows("SELECT 1 FROM {stage:Identifier} WHERE accepted_day = {day:Date} LIMIT 1", **known):
        store.command(f"ALTER TABLE rollup_day REPLACE PARTITION {partition} FROM {stage}")
    else:  # an empty partition cannot replace another (code 36)
        store.command(f"ALTER TABLE rollup_day DROP PARTITION {partition}")
    store.command(BUILT, day=day.accepted_day, builder=builder, mark=day.newest)
    if store.rows(OTHERS, day=day.accepted_day, builder=builder, seen_at=day.seen_at)[0]["n"]:
        mark(store, [day.accepted_day])


def sweep(store: Store) -> None:
    """Drop the tables that killed builders left behind."""
    now_s = _now_s(store)
    for row in store.rows("SELECT name FROM system.tables WHERE database = currentDatabase()"):
        match = _STAGE_NAME.fullmatch(row["name"])
        if match is not None and now_s - int(match["made_at"]) > LEFT_BEHIND_S:
            store.command("DROP TABLE IF EXISTS {stage:Identifier}", stage=row["name"])


def _now_s(store: Store) -> int:
    return int(store.rows("SELECT toUnixTimestamp(now()) AS now_s")[0]["now_s"])

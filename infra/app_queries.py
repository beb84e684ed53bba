"""Questions to the store about all messages of applications together.

Called by `medpost backlog --check`. Reads only; raises UnavailableError when the store cannot answer. What became of
one message is asked in `infra.queries`.
"""

from typing import Final

import msgspec
from msgspec import Struct

from infra.clickhouse import Store

OPEN: Final = """
SELECT
    app_id, lane,
    countIf(begun <= {until_ms:Int64} AND (ended = 0 OR ended > {until_ms:Int64})) AS messages,
    countIf(begun <= {from_ms:Int64} AND (ended = 0 OR ended > {until_ms:Int64})) AS at_least,
    countIf(begun <= {until_ms:Int64} AND (ended = 0 OR ended > {from_ms:Int64})) AS at_most
FROM (
    SELECT
        any(app_id) AS app_id,
        anyIf(lane, stage = 'accepted') AS lane,
        minIf(toUnixTimestamp64Milli(at), stage = 'accepted') AS begun,
        minIf(toUnixTimestamp64Milli(at), stage = 'completed' AND status != 'rejected') AS ended
    FROM events
    WHERE stage IN ('accepted', 'completed')
        AND accepted_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
        AND accepted_day >= toDate(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), 'Asia/Shanghai')
    GROUP BY message_id
    HAVING countIf(stage = 'accepted') > 0
)
GROUP BY app_id, lane
ORDER BY app_id, lane
"""
"""Repeats of an event change neither `any` nor `min`: no FINAL is needed."""


class OpenCount(Struct, frozen=True, kw_only=True):
    """Open messages of an application and lane at a moment, and the bounds within a span of time before it."""

    app_id: str
    lane: str
    messages: int
    at_least: int
    at_most: int


def open_messages(store: Store, since_ms: int, span_ms: tuple[int, int]) -> list[OpenCount]:
    """Messages accepted since then and open at the end of the span (all UTC ms), by application and lane."""
    asked = {"since_ms": since_ms, "from_ms": span_ms[0], "until_ms": span_ms[1]}
    return msgspec.convert(store.rows(OPEN, **asked), list[OpenCount])

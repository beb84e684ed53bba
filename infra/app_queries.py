"""Questions to the store that an application may ask about its own messages as a whole.

Called by the HTTP gateway. Reads only; raises UnavailableError when the store cannot answer. What became of one
message is asked in `infra.queries`.
"""

from typing import Final

import msgspec
from msgspec import Struct

from infra.clickhouse import Store

OPEN_BY_CHANNEL: Final = """
SELECT lane, channel, count() AS messages FROM (
    SELECT message_id, any(lane) AS lane, argMaxIf(channel, (accepted_at, latency_ms), channel != '') AS channel
    FROM events
    WHERE app_id = {app_id:String}
        AND accepted_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
        AND accepted_day >= toDate(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), 'Asia/Shanghai')
        AND message_id NOT IN (
            SELECT message_id FROM message_facts
            WHERE app_id = {app_id:String}
                AND accepted_day >= toDate(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), 'Asia/Shanghai')
                AND status != 'rejected'
        )
    GROUP BY message_id
    HAVING countIf(stage = 'accepted') > 0
)
GROUP BY lane, channel
ORDER BY lane, channel
"""
"""Repeats of an event change neither `any`, nor `argMax`, nor the count of messages: no FINAL is needed."""


class OpenCount(Struct, frozen=True, kw_only=True):
    """Open messages of a lane whose latest channel is `channel` ("": none was issued yet)."""

    lane: str
    channel: str
    messages: int


def open_by_channel(store: Store, app_id: str, since_ms: int) -> list[OpenCount]:
    """An application's open messages, accepted since then (UTC milliseconds), by lane and channel."""
    return msgspec.convert(store.rows(OPEN_BY_CHANNEL, app_id=app_id, since_ms=since_ms), list[OpenCount])

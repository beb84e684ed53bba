"""The named questions to the store: what became of a message, its timeline, the lists and sums of a period.

Called by the console and the sample run. Each question is one statement with bound parameters, and answers with
records whose times are UTC milliseconds and whose ids and hashes are text. Reads only; raises UnavailableError when
the store cannot answer.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from infra.clickhouse import Store

R = TypeVar("R", bound=Struct)


class Fact(Struct, frozen=True, kw_only=True):
    """What became of a finished message; hashes and the recipient's pseudonym as hex."""

    message_id: str
    replay_id: int
    status: str
    reason: str
    app_id: str
    type: str
    lane: str
    channel: str
    attempts: int
    accepted_at_ms: int
    latency_ms: int
    lateness_ms: int
    possible_duplicate: bool
    recipient_key: str
    template_version: int
    config_version: int
    text_hash: str
    address_hash: str


class TraceEvent(Struct, frozen=True, kw_only=True):
    """One event of a message's timeline. `until_ms` 0: none was said."""

    message_id: str
    at_ms: int
    stage: str
    status: str
    channel: str
    attempt: int
    replay_id: int
    reason: str
    provider: str
    provider_code: str
    provider_message_id: str
    possible_duplicate: bool
    latency_ms: int
    lateness_ms: int
    accepted_at_ms: int
    until_ms: int
    app_id: str
    type: str
    lane: str
    recipient_key: str
    config_version: int
    worker: str
    detail: str


class OutcomeCount(Struct, frozen=True, kw_only=True):
    """How many finished messages of a type ended so on that channel; latencies since acceptance."""

    type: str
    channel: str
    status: str
    messages: int
    p50_ms: float
    p95_ms: float


class RefusalCount(Struct, frozen=True, kw_only=True):
    """How many requests of an application were refused for that reason."""

    reason: str
    app_id: str
    requests: int


class Selection(Struct, frozen=True, kw_only=True):
    """Which messages to list; an empty word means any."""

    since_ms: int
    app_id: str = ""
    type: str = ""
    status: str = ""
    limit: int = 50


_FRAGMENTS: Final = {
    "<fact>": """
    toString(message_id) AS message_id, replay_id, status, reason, app_id, type, lane, channel, attempts,
    toUnixTimestamp64Milli(accepted_at) AS accepted_at_ms, latency_ms, lateness_ms, possible_duplicate,
    lower(hex(recipient_key)) AS recipient_key, template_version, config_version,
    lower(hex(text_hash)) AS text_hash, lower(hex(address_hash)) AS address_hash
""",
    "<event>": """
    toString(message_id) AS message_id, toUnixTimestamp64Milli(at) AS at_ms, stage, status, channel, attempt, replay_id,
    reason, provider, provider_code, provider_message_id, possible_duplicate, latency_ms, lateness_ms,
    toUnixTimestamp64Milli(accepted_at) AS accepted_at_ms, toUnixTimestamp64Milli(until) AS until_ms,
    app_id, type, lane, lower(hex(recipient_key)) AS recipient_key, config_version, worker, detail
""",
    "<since>": """
    accepted_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
    AND accepted_day >= toDate(fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'), 'Asia/Shanghai')
""",
    "<chosen>": """
    ({app_id:String} = '' OR app_id = {app_id:String}) AND ({type:String} = '' OR type = {type:String})
""",
}


def _whole(statement: str) -> str:
    """The statement with its fragments filled in."""
    for mark, fragment in _FRAGMENTS.items():
        statement = statement.replace(mark, fragment.strip())
    return statement


# In two steps: the days by the bloom filter alone, then FINAL within those days. FINAL over all days costs twice as
# much at 70 million events, and more with every month.
DAYS: Final = """
SELECT DISTINCT accepted_day FROM (
    SELECT accepted_day FROM events WHERE message_id = {id:UUID}
    UNION ALL
    SELECT accepted_day FROM message_facts WHERE message_id = {id:UUID}
)
ORDER BY accepted_day
"""
FACTS: Final = _whole("""
SELECT <fact> FROM message_facts AS f FINAL
WHERE f.accepted_day IN {days:Array(Date)} AND f.message_id = {id:UUID}
ORDER BY replay_id, rank
""")
TIMELINE: Final = _whole("""
SELECT <event> FROM events AS e FINAL
WHERE e.accepted_day IN {days:Array(Date)} AND e.message_id = {id:UUID}
ORDER BY at_ms
""")
FINISHED: Final = _whole("""
SELECT <fact> FROM message_facts AS f FINAL
WHERE <since> AND <chosen> AND ({status:String} = '' OR status = {status:String})
ORDER BY accepted_at DESC, f.message_id
LIMIT {limit:UInt32}
""")
OPEN: Final = _whole("""
SELECT toString(e.message_id) AS id FROM events AS e FINAL
WHERE <since> AND <chosen> AND stage = 'accepted' AND e.message_id NOT IN (
    SELECT message_id FROM message_facts WHERE <since> AND status != 'rejected'
)
ORDER BY accepted_at DESC, e.message_id
LIMIT 1 BY e.message_id
LIMIT {limit:UInt32}
""")
EVENTS_OF: Final = _whole("""
SELECT <event> FROM events AS e FINAL
WHERE <since> AND e.message_id IN {ids:Array(UUID)}
ORDER BY at_ms
""")
OUTCOMES: Final = _whole("""
SELECT
    type, channel, status, count() AS messages,
    quantileExact(0.5)(latency_ms) AS p50_ms, quantileExact(0.95)(latency_ms) AS p95_ms
FROM message_facts FINAL
WHERE <since> AND <chosen>
GROUP BY type, channel, status
ORDER BY type, channel, status
""")
REFUSALS: Final = _whole("""
SELECT reason, app_id, count() AS requests
FROM events FINAL
WHERE <since> AND <chosen> AND stage = 'rejected'
GROUP BY reason, app_id
ORDER BY requests DESC, reason, app_id
""")


def days_of(store: Store, message_id: str) -> list[date]:
    """The days under which the message is filed; empty when the store has never seen it."""
    return [row["accepted_day"] for row in store.rows(DAYS, id=message_id)]


def facts_of(store: Store, message_id: str, days: Sequence[date]) -> list[Fact]:
    """What became of it, one record per replay and day; the original run first."""
    return _records(Fact, store.rows(FACTS, id=message_id, days=list(days)))


def timeline_of(store: Store, message_id: str, days: Sequence[date]) -> list[TraceEvent]:
    """Its events by their time."""
    return _records(TraceEvent, store.rows(TIMELINE, id=message_id, days=list(days)))


def known_of(store: Store, message_id: str) -> tuple[list[Fact], list[TraceEvent]]:
    """Both; what `infra.standing.standing` asks for. Empty lists when the store has never seen it."""
    days = days_of(store, message_id)
    return (facts_of(store, message_id, days), timeline_of(store, message_id, days)) if days else ([], [])


def finished(store: Store, selection: Selection) -> list[Fact]:
    """Finished messages, the newest first."""
    return _records(Fact, store.rows(FINISHED, **msgspec.structs.asdict(selection)))


def timelines_of_open(store: Store, selection: Selection) -> list[list[TraceEvent]]:
    """The timelines of messages that are not finished, the newest message first; the selection's status is ignored."""
    found = store.rows(OPEN, **_without_status(selection))
    by_id: dict[str, list[TraceEvent]] = {row["id"]: [] for row in found}
    if by_id:
        rows = store.rows(EVENTS_OF, since_ms=selection.since_ms, ids=list(by_id))
        for event in _records(TraceEvent, rows):
            by_id[event.message_id].append(event)
    return list(by_id.values())


def outcomes_by_type_and_channel(store: Store, since_ms: int, app_id: str = "") -> list[OutcomeCount]:
    """Finished messages by type, final channel and status; exact."""
    return _records(OutcomeCount, store.rows(OUTCOMES, since_ms=since_ms, app_id=app_id, type=""))


def refusals_by_reason(store: Store, since_ms: int, app_id: str = "") -> list[RefusalCount]:
    """Refused requests by reason and application, the most frequent first."""
    return _records(RefusalCount, store.rows(REFUSALS, since_ms=since_ms, app_id=app_id, type=""))


def _without_status(selection: Selection) -> dict[str, Any]:
    return {key: value for key, value in msgspec.structs.asdict(selection).items() if key != "status"}


def _records(kind: type[R], rows: list[dict[str, Any]]) -> list[R]:
    return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]  # the type is a value here

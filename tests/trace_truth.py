"""A made-up log of events, and what the store must say about it, counted in plain Python.

The log holds what happens in a hospital and what is hard for a store: repeats with another latency, late receipts with
a second `completed`, days around the turn of a month in Asia/Shanghai, messages that are refused, mended, cancelled.
Used by the integration tests of the trace.
"""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from schemas.codec import EVENT
from schemas.records import Event
from schemas.statuses import FINAL_RANK, Stage, Status
from schemas.topics import DAY_MS

TURN_MS: Final = 1_793_462_400_000
"""2026-11-01 00:00 in Asia/Shanghai."""
TYPES: Final = (
    ("registration_confirmed", "his", "normal"),
    ("critical_value", "lis", "urgent"),
    ("follow_up", "his", "bulk"),
)
ENDS: Final = (
    Status.SENT,
    Status.SENT,
    Status.SENT,
    Status.FAILED,
    Status.EXPIRED,
    Status.CANCELLED,
    Status.SUPPRESSED,
)
REASONS: Final = ("rate_limited", "recipient_invalid", "unknown_outcome")

Cell = tuple[str, ...]
"""day, kind, app, type, lane, channel, status, reason: one count of a rollup."""


class FactTruth(Struct, frozen=True):
    """What `message_facts` must hold of one message."""

    status: str
    reason: str
    channel: str
    attempts: int
    latency_ms: int
    text_hash: str


def history(messages: int, seed: int = 1) -> list[Event]:
    """The events of that many messages, in the order of their messages; repeats are `repeated`'s."""
    chance = random.Random(seed)
    return [event for number in range(messages) for event in _one(number, chance)]


def _one(number: int, chance: random.Random) -> list[Event]:
    type_, app_id, lane = TYPES[number % len(TYPES)]
    accepted_at = TURN_MS + chance.randrange(-3 * DAY_MS, 2 * DAY_MS)
    base = Event(
        chance.randbytes(16),
        Stage.ACCEPTED,
        status=Status.ACCEPTED,
        at=accepted_at + 4,
        accepted_at=accepted_at,
        app_id=app_id,
        type=type_,
        lane=lane,
        latency_ms=4,
        recipient_key=number.to_bytes(16, "big"),
        config_version=number % 5,
        worker=f"intake.{lane}@host:1",
    )
    if number % 25 == 0:
        refused = _then(base, 0, Stage.REJECTED, status=Status.REJECTED, reason="token_expired")
        return [refused, _then(refused, 1, Stage.COMPLETED, status=Status.REJECTED)]
    return [base, *_sending(base, chance)]


def _then(base: Event, later_ms: int, stage: str, **changes: object) -> Event:
    """The next event, so many milliseconds later."""
    latency_ms = base.latency_ms + later_ms
    moved = {"at": base.accepted_at + latency_ms, "latency_ms": latency_ms, "stage": stage, **changes}
    return msgspec.structs.replace(base, **moved)


def _sending(base: Event, chance: random.Random) -> list[Event]:
    channel = chance.choice(("sms", "webhook"))
    issued = _then(base, 7, Stage.ISSUED, channel=channel, attempt=1, status=Status.ISSUED, claim_by=base.at + 5000)
    sending = _then(issued, 3, Stage.SENDING, status=Status.SENDING, worker="sinks@host:2")
    end = chance.choice(ENDS)
    is_taken = end is Status.SENT
    outcome = _then(
        sending,
        chance.randrange(1, 3000),
        Stage.OUTCOME,
        status=Status.ACCEPTED if is_taken else Status.FAILED,
        reason="" if is_taken else chance.choice(REASONS),
        provider="aliyun",
        provider_message_id=str(chance.randrange(10**17)),
    )
    completed = _then(
        outcome, 2, Stage.COMPLETED, attempt=0, status=end, attempts=1, text_hash=chance.randbytes(16), provider=""
    )
    events = [issued, sending, outcome, completed]
    if is_taken and chance.random() < 0.1:
        receipt = _then(outcome, chance.randrange(1, 3 * DAY_MS), Stage.RECEIPT, status=Status.DELIVERED)
        final = _then(receipt, 1, Stage.COMPLETED, attempt=0, attempts=1, text_hash=completed.text_hash, provider="")
        events += [receipt, final]
    return events


def repeated(events: list[Event], share: float, seed: int = 2) -> list[Event]:
    """The events out of order, a share of them a second time, some milliseconds later by their own account."""
    chance = random.Random(seed)
    again = [
        msgspec.structs.replace(event, at=event.at + late, latency_ms=event.latency_ms + late)
        for event in chance.sample(events, int(len(events) * share))
        for late in (chance.randrange(6),)
    ]
    mixed = [*events, *again]
    chance.shuffle(mixed)
    return mixed


def day_of(at_ms: int) -> str:
    """The calendar day in Asia/Shanghai."""
    return (datetime.fromtimestamp(at_ms // 1000, UTC) + timedelta(hours=8)).date().isoformat()


def identities(events: Iterable[Event]) -> dict[tuple[object, ...], int]:
    """Every identity with its largest latency."""
    found: dict[tuple[object, ...], int] = {}
    for event in events:
        key = (event.message_id.hex(), event.stage, event.channel, event.attempt, event.replay_id, event.status)
        found[key] = max(found.get(key, 0), event.latency_ms)
    return found


def facts(events: Iterable[Event]) -> dict[str, FactTruth]:
    """What became of every finished message: the highest status, then the largest latency."""
    best: dict[bytes, Event] = {}
    for event in events:
        if event.stage == Stage.COMPLETED:
            best[event.message_id] = max(best.get(event.message_id, event), event, key=_precedence)
    return {
        of.hex(): FactTruth(
            event.status, event.reason, event.channel, event.attempts, event.latency_ms, event.text_hash.hex()
        )
        for of, event in best.items()
    }


def _precedence(event: Event) -> tuple[int, int]:
    return FINAL_RANK[Status(event.status)], event.latency_ms


def cells(events: Iterable[Event]) -> Counter[Cell]:
    """Every count of the rollup."""
    known = list(events)
    messages = {event.message_id: event for event in known if event.stage == Stage.COMPLETED}
    counts: Counter[Cell] = Counter()
    for of, fact in facts(known).items():
        event = messages[bytes.fromhex(of)]
        counts[_cell("message", event, fact.channel, fact.status, fact.reason)] += 1
    deliveries = {
        (event.message_id, event.stage, event.channel, event.attempt, event.replay_id, event.status): event
        for event in known
        if event.stage in {Stage.OUTCOME, Stage.RECEIPT}
    }
    for event in deliveries.values():
        counts[_cell("delivery", event, event.channel, event.status, event.reason)] += 1
    return counts


def _cell(kind: str, event: Event, channel: str, status: str, reason: str) -> Cell:
    return (day_of(event.accepted_at), kind, event.app_id, event.type, event.lane, channel, status, reason)


def encoded(events: Iterable[Event]) -> list[tuple[str, bytes, bytes]]:
    """Lane, key and value of every event, as they are published."""
    return [(event.lane, event.message_id, EVENT.encode(event)) for event in events]

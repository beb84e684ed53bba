"""How a message stands, from what the store knows of it: the final row when there is one, else its events. Pure.

Called by `medpost messages`, the sample run and the HTTP gateway. It reads what the store answered and never asks
anything itself.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from infra.queries import Fact, TraceEvent
from schemas.statuses import Stage, Status

_ORDER: Final[dict[str, int]] = {stage: rank for rank, stage in enumerate(Stage)}
_OPEN: Final[dict[str, Status]] = {
    Stage.ACCEPTED: Status.ACCEPTED,
    Stage.HELD: Status.HELD,
    Stage.ISSUED: Status.SENDING,
    Stage.SENDING: Status.SENDING,
    Stage.OUTCOME: Status.SENDING,
    Stage.UNKNOWN: Status.SENDING,
    Stage.DEFERRED: Status.SENDING,
    Stage.DROPPED: Status.SENDING,
    Stage.RETRY_SCHEDULED: Status.SENDING,
    Stage.FALLBACK: Status.SENDING,
}
"""The open status of a message after an event of that stage; other stages leave it as it was."""
_TIMED: Final = frozenset((Stage.ACCEPTED, Stage.RESCHEDULE_REQUESTED))
"""Where these name a moment, the message is scheduled for it."""


class Standing(Struct, frozen=True, kw_only=True):
    """How a message stands. Latencies are None while it is open; hashes and keys are hex, empty when there is none."""

    message_id: str
    status: str
    is_final: bool
    reason: str
    app_id: str
    type: str
    lane: str
    channel: str
    attempts: int
    accepted_at_ms: int
    finished_at_ms: int | None = None
    latency_ms: int | None = None
    lateness_ms: int | None = None
    replay_id: int = 0
    possible_duplicate: bool = False
    recipient_key: str = ""
    template_version: int = 0
    config_version: int = 0
    text_hash: str = ""
    address_hash: str = ""


def in_order(events: Sequence[TraceEvent]) -> list[TraceEvent]:
    """The timeline by time; within a millisecond by the order in which such things happen."""
    return sorted(events, key=lambda event: (event.at_ms, event.replay_id, event.attempt, _rank(event.stage)))


def _rank(stage: str) -> int:
    return _ORDER.get(stage, len(_ORDER))


def standing(facts: Sequence[Fact], events: Sequence[TraceEvent]) -> Standing | None:
    """How the message stands by its latest replay; None when the store knows nothing of it.

    A refusal is final only for its request: a message accepted after it is open, or ends by itself.
    """
    latest = max(facts, key=_lateness, default=None)
    was_accepted = any(event.stage == Stage.ACCEPTED for event in events)
    if latest is not None and not (latest.status == Status.REJECTED and was_accepted):
        return _of_fact(latest)
    return _of_events(in_order(events)) if events else None


def _lateness(fact: Fact) -> tuple[int, bool, int]:
    return fact.replay_id, fact.status != Status.REJECTED, fact.accepted_at_ms


def _of_fact(fact: Fact) -> Standing:
    return Standing(
        message_id=fact.message_id,
        status=fact.status,
        is_final=True,
        reason=fact.reason,
        app_id=fact.app_id,
        type=fact.type,
        lane=fact.lane,
        channel=fact.channel,
        attempts=fact.attempts,
        accepted_at_ms=fact.accepted_at_ms,
        finished_at_ms=fact.accepted_at_ms + fact.latency_ms,
        latency_ms=fact.latency_ms,
        lateness_ms=fact.lateness_ms,
        replay_id=fact.replay_id,
        possible_duplicate=fact.possible_duplicate,
        recipient_key=fact.recipient_key,
        template_version=fact.template_version,
        config_version=fact.config_version,
        text_hash=fact.text_hash,
        address_hash=fact.address_hash,
    )


def _of_events(events: Sequence[TraceEvent]) -> Standing:
    last = events[-1]
    accepted = [event for event in events if event.stage == Stage.ACCEPTED]
    status: str = Status.REJECTED
    for event in events:
        if event.stage == Stage.ACCEPTED and event is not accepted[0]:
            continue  # the same message asked for again: it begins nothing
        is_put_off = event.stage in _TIMED and event.until_ms
        status = Status.SCHEDULED if is_put_off else _OPEN.get(event.stage, status)
    spoken = [event for event in events if event.stage != Stage.REJECTED] if accepted else events
    return Standing(
        message_id=last.message_id,
        status=status,
        is_final=False,
        reason=next((event.reason for event in reversed(spoken) if event.reason), ""),
        app_id=last.app_id,
        type=last.type,
        lane=last.lane,
        channel=next((event.channel for event in reversed(events) if event.channel), ""),
        attempts=len({(event.channel, event.attempt) for event in events if event.stage == Stage.SENDING}),
        accepted_at_ms=min(event.accepted_at_ms for event in (accepted or events)),
        replay_id=max(event.replay_id for event in events),
        possible_duplicate=any(event.possible_duplicate for event in events),
        recipient_key=(accepted or events)[0].recipient_key,
        config_version=(accepted or events)[0].config_version,
    )

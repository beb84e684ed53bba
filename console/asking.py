"""Asking for a message to be taken back or moved, and what became of that: read from the log, where it is decided.

Called by `medpost messages cancel | reschedule | send-now`. The answer is only ever what stands in the log: settle's
copy of the request, and what stands before and after it. It changes nothing itself.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from infra import settings as settings_module
from infra.kafka import LogReader, publish_one
from infra.settings import Settings
from schemas import topics
from schemas.codec import EVENT, REQUEST
from schemas.errors import Reason, UnavailableError
from schemas.partitioner import partition_of
from schemas.records import Event, Request
from schemas.statuses import LANES, Stage, Status

LOOK_BACK_MS: Final = 60_000
"""So much of the log before the request is read: what settle had not read yet when it copied it."""
FLUSH_S: Final = 10.0

_LET_GO: Final = frozenset({Stage.DROPPED, Stage.DEFERRED})
_WITHDRAWN: Final = frozenset({Reason.CANCELLED_BY_SENDER, Reason.SUPERSEDED})


class Said(StrEnum):
    """How a request ended."""

    DONE = "done"
    TOO_LATE = "too_late"
    UNANSWERED = "unanswered"
    NOT_FOUND = "not_found"


class Answer(Struct, frozen=True):
    """What became of a request; the message's final status, reason and channel as far as they explain it."""

    said: Said
    status: str = ""
    reason: str = ""
    channel: str = ""


def cancel(message_id: bytes, now_ms: int) -> Request:
    """Take the message back."""
    return Request(os.urandom(16), "cancel", message_id, requested_by="console", at=now_ms)


def reschedule(message_id: bytes, send_at: int, now_ms: int) -> Request:
    """Send it at another time (UTC ms), 0: now."""
    return Request(os.urandom(16), "reschedule", message_id, requested_by="console", at=now_ms, send_at=send_at)


def answer_of(events: Sequence[Event], request: Request) -> Answer | None:
    """The answer in a message's events, in the order of the log; None while there is none."""
    place = next((at for at, event in enumerate(events) if event.detail == request.request_id.hex()), None)
    if place is None:
        return None
    copy = events[place]
    if copy.reason == Reason.TOO_LATE:
        return Answer(Said.TOO_LATE, channel=copy.channel)
    if request.kind == "reschedule":
        return _moved(events[:place], copy)
    return Answer(Said.DONE, Status.CANCELLED, copy.reason) if copy.reason in _WITHDRAWN else _withdrawn(events)


def _moved(before: Sequence[Event], copy: Event) -> Answer:
    """Done, unless something stands before it that settle had not read."""
    for event in before:
        if event.stage == Stage.ISSUED:
            return Answer(Said.TOO_LATE, channel=event.channel)
        if event.stage in (Stage.CANCEL_REQUESTED, Stage.SUPERSEDED):
            return Answer(Said.TOO_LATE, Status.CANCELLED)
    return Answer(Said.TOO_LATE, Status.CANCELLED, copy.reason) if copy.reason in _WITHDRAWN else Answer(Said.DONE)


def _withdrawn(events: Sequence[Event]) -> Answer | None:
    """Done when the message ended as cancelled; too late when somebody has claimed it, or it ended otherwise."""
    claimed: dict[str, int] = {}
    for event in events:
        if event.stage == Stage.COMPLETED and event.status != Status.REJECTED:
            is_done = event.status == Status.CANCELLED
            said = Said.DONE if is_done else Said.TOO_LATE
            return Answer(said, event.status, event.reason, event.channel)
        if event.stage == Stage.SENDING:
            claimed[event.channel] = event.attempt
        elif _is_given_up(event) and claimed.get(event.channel) == event.attempt:
            del claimed[event.channel]
    return Answer(Said.TOO_LATE, channel=next(iter(claimed))) if claimed else None


def _is_given_up(event: Event) -> bool:
    """Whether a claim led to no call, or to a refusal."""
    return event.stage in _LET_GO or (event.stage == Stage.OUTCOME and event.status == Status.FAILED)


def ask(settings: Settings, request: Request, wait_s: float) -> Answer:
    """Publish the request and wait for its answer; `unanswered` when there is none in time.

    Raises UnavailableError when the broker does not take it.
    """
    bootstrap = settings_module.kafka_endpoint(settings)
    with LogReader(bootstrap) as reader:
        starts = _starts(reader, settings, request)
        _publish(bootstrap, settings, request)
        return waited(reader.watch(starts), request, time.monotonic() + wait_s)


def _starts(reader: LogReader, settings: Settings, request: Request) -> dict[tuple[str, int], int]:
    """Where the message's events of the last minute begin, in every lane."""
    names = [topics.events(lane).named(settings.namespace) for lane in LANES]
    places = [(name, partition_of(request.message_id, count)) for name in names if (count := reader.partitions(name))]
    return {place: reader.offset_for_time(*place, request.at - LOOK_BACK_MS) for place in places}


def _publish(bootstrap: str, settings: Settings, request: Request) -> None:
    topic = settings.topic(topics.REQUESTS.name)
    if not publish_one(bootstrap, topic, REQUEST.encode(request), request.request_id, FLUSH_S):
        raise UnavailableError("请求未被确认：broker 没有应答", "检查 `medpost status`；重复提出同一请求无害")


def waited(
    found: Iterator[object], request: Request, until_s: float, monotonic_s: Callable[[], float] = time.monotonic
) -> Answer:
    """The answer as soon as it stands in what is found (log records, None for a pause), until that moment."""
    events: list[Event] = []
    for record in found:
        if record is not None and getattr(record, "key", None) == request.message_id:
            events.append(EVENT.decode(getattr(record, "value", None)))
            answer = answer_of(events, request)
            if answer is not None:
                return answer
        if monotonic_s() >= until_s:
            break
    return Answer(Said.UNANSWERED if events else Said.NOT_FOUND)

"""The answer to a request: only ever what stands in the log of its message."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from msgspec import Struct

from console import asking
from console.asking import Answer, Said, answer_of, waited
from infra.kafka import PublishFailure, single
from infra.settings import Settings
from schemas.codec import EVENT
from schemas.errors import UnavailableError
from schemas.records import Event, Request
from schemas.statuses import Stage
from tests.factories import T0, answer, message_id

ID = message_id(1)
CANCEL = asking.cancel(ID, T0)
MOVE = asking.reschedule(ID, T0 + 9_000, T0)


def copy(of: Request = CANCEL, reason: str = "", channel: str = "") -> Event:
    """Settle's copy of the request."""
    stage = Stage.CANCEL_REQUESTED if of.kind == "cancel" else Stage.RESCHEDULE_REQUESTED
    return Event(ID, stage, channel, status=stage, reason=reason, detail=of.request_id.hex())


def done(status: str = "cancelled", reason: str = "cancelled_by_sender", channel: str = "") -> Event:
    """The message's end."""
    return Event(ID, Stage.COMPLETED, channel, status=status, reason=reason)


SENDING = answer(ID, Stage.SENDING, "sms")
ISSUED = answer(ID, Stage.ISSUED, "sms")
REFUSED = answer(ID, Stage.OUTCOME, "sms", status="failed")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((), None),
        ((done(),), None),
        ((copy(),), None),
        ((ISSUED, copy()), None),
        ((copy(), done()), Answer(Said.DONE, "cancelled", "cancelled_by_sender")),
        ((copy(reason="superseded"),), Answer(Said.DONE, "cancelled", "superseded")),
        ((copy(reason="too_late", channel="sms"),), Answer(Said.TOO_LATE, channel="sms")),
        ((SENDING, copy()), Answer(Said.TOO_LATE, channel="sms")),
        ((copy(), ISSUED, SENDING), Answer(Said.TOO_LATE, channel="sms")),
        ((copy(), SENDING, answer(ID, Stage.DROPPED, "sms")), None),
        ((SENDING, REFUSED, copy()), None),
        ((copy(), SENDING, REFUSED, done()), Answer(Said.DONE, "cancelled", "cancelled_by_sender")),
        ((done("rejected", "token_expired"), copy()), None),
        ((done("sent", "", "sms"), copy()), Answer(Said.TOO_LATE, "sent", "", "sms")),
    ],
)
def test_a_cancel_is_done_only_when_the_message_ended_so(events: tuple[Event, ...], said: Answer | None) -> None:
    """A claim is too late, unless it led to nothing; while it is open nothing is said."""
    assert answer_of(events, CANCEL) == said


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((ISSUED,), None),
        ((copy(MOVE),), Answer(Said.DONE)),
        ((copy(MOVE), ISSUED), Answer(Said.DONE)),
        ((ISSUED, copy(MOVE)), Answer(Said.TOO_LATE, channel="sms")),
        ((copy(MOVE, "too_late", "sms"),), Answer(Said.TOO_LATE, channel="sms")),
        ((copy(), copy(MOVE)), Answer(Said.TOO_LATE, "cancelled")),
        ((copy(MOVE, "superseded"),), Answer(Said.TOO_LATE, "cancelled", "superseded")),
    ],
)
def test_a_change_of_time_counts_where_its_copy_stands(events: tuple[Event, ...], said: Answer | None) -> None:
    """Too late when it was issued before, or withdrawn."""
    assert answer_of(events, MOVE) == said


class Found(Struct):
    """A record of the log."""

    key: bytes
    value: bytes


def found(*events: Event) -> Iterator[Found | None]:
    """Records of many messages, with pauses, for ever."""
    yield Found(message_id(2), b"of another message")
    for event in events:
        yield Found(ID, EVENT.encode(event))
        yield None
    while True:
        yield None


def test_the_answer_is_waited_for() -> None:
    """As soon as it is there; records of others are not even opened."""
    assert waited(found(copy(), done()), CANCEL, 1.0, lambda: 0.0).said == Said.DONE


@pytest.mark.parametrize(("events", "said"), [((), Said.NOT_FOUND), ((ISSUED, copy()), Said.UNANSWERED)])
def test_waiting_ends(events: tuple[Event, ...], said: Said) -> None:
    """Known without an answer, or nothing at all."""
    ticks = iter(range(100))
    assert waited(found(*events), CANCEL, 20.0, lambda: float(next(ticks))).said == said


class Refusing:
    """A broker that takes nothing; in the place of reader and publisher."""

    def __init__(self, *_: object, **__: object) -> None:
        """Anything."""

    def __enter__(self) -> Self:
        """As a reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """As a reader."""

    def partitions(self, _topic: str) -> int:
        """None to be read."""
        return 0

    def watch(self, _starts: object) -> Iterator[None]:
        """Nothing is found."""
        return iter(())

    def publish(self, *_: object, on_report: Callable[[PublishFailure], None], **__: object) -> None:
        """Refused for good."""
        on_report(PublishFailure("requests", 29, "TOPIC_AUTHORIZATION_FAILED", is_permanent=True, text=""))

    def close(self, _timeout_s: float) -> int:
        """Nothing is left."""
        return 0


def test_a_request_that_the_broker_refused_was_not_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is not said to be registered."""
    monkeypatch.setattr(asking, "LogReader", Refusing)
    monkeypatch.setattr(single, "Publisher", Refusing)
    with pytest.raises(UnavailableError):
        asking.ask(Settings(home=tmp_path, kafka="nowhere:1"), CANCEL, 0.0)

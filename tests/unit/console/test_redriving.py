"""Putting dead letters back: acknowledged, marked, at a pace, and each told of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from console.redriving import Desk, Told, mark, redrive
from infra.clock import HandClock
from infra.crypto import Ring
from infra.dead import DeadOffice
from infra.dead_letters import Case, cases
from infra.kafka import LogRecord, PublishFailure
from infra.redrive import HEADER, as_first
from infra.settings import Settings
from schemas.codec import DEAD_LETTER, DEAD_MARK
from schemas.errors import Reason, UnavailableError

RING = Ring("dead", {1: bytes(range(32))})
SETTINGS = Settings(home=Path("/nowhere"), kafka="127.0.0.1:1")
TOKEN = ("authorization", b"Bearer t")


class Broker:
    """Takes records, fails those it was told to, acknowledges on flush."""

    def __init__(self, failing: dict[str, PublishFailure] | None = None, left: int = 0) -> None:
        self.records: list[LogRecord] = []
        self.failing = failing or {}
        self.left = left

    def publish(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int = -1,
        on_report: Callable[[PublishFailure | None], None] | None = None,
    ) -> None:
        """Take one record."""
        failure = self.failing.get(topic)
        if failure is None:
            self.records.append(LogRecord(topic, partition, 900, 9_000, key, value, tuple(headers or ())))
        if on_report is not None:
            on_report(failure)

    def flush(self, timeout_s: float) -> int:
        """How many are left."""
        return self.left

    def of(self, topic: str) -> list[LogRecord]:
        """What was appended to a topic."""
        return [record for record in self.records if record.topic == topic]


def case_of(topic: str, offset: int = 7, headers: tuple[tuple[str, bytes], ...] = (TOKEN,)) -> Case:
    """A dead letter of one record of that topic."""
    letters: list[bytes] = []

    class Out:
        def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
            letters.append(value or b"")

    record = LogRecord(topic, 1, offset, 500, b"k", b"v", headers)
    DeadOffice("dead", RING, HandClock(9), "w").bury(Out(), record, Reason.INTERNAL, "")
    return cases([DEAD_LETTER.decode(letters[0])], [])[0]


def run(broker: Broker, *chosen: Case, rate_per_s: float = 1_000.0) -> tuple[dict[str, int], list[Told], list[float]]:
    """Redrive with time standing still: counts, what was told, and the pauses asked for."""
    told: list[Told] = []
    pauses: list[float] = []
    desk = Desk(SETTINGS, RING, broker, HandClock(10_000), "sre@ops", "mended")
    counted = redrive(desk, chosen, rate_per_s, pauses.append, told.append)
    return dict(counted), told, pauses


@pytest.mark.parametrize("is_permanent", [True, False])
def test_a_decision_that_the_broker_refused_was_not_made(is_permanent: bool) -> None:
    """Whoever puts a letter aside is not told that it was."""
    broker = Broker({"dead.marks": PublishFailure("dead.marks", 29, "TOPIC_AUTHORIZATION_FAILED", is_permanent, "")})
    desk = Desk(SETTINGS, RING, broker, HandClock(10_000), "sre@ops", "noise")
    with pytest.raises(UnavailableError, match=r"dead\.marks"):
        mark(desk, [case_of("messages.normal")], "dropped")


def test_a_message_returns_with_the_moment_of_its_first_append() -> None:
    """To its own partition, with its key, value and token; the mark follows."""
    broker = Broker()
    counted, _, _ = run(broker, case_of("messages.normal"))
    (again,) = broker.of("messages.normal")
    first = as_first(again, RING)
    assert (again.partition, again.key, again.value) == (1, b"k", b"v")
    assert (first.offset, first.timestamp, tuple(first.headers)) == (7, 500, (TOKEN,))
    (mark,) = [DEAD_MARK.decode(record.value) for record in broker.of("dead.marks")]
    assert (mark.origin, mark.action, mark.by, mark.note) == ("messages.normal/1/7", "redriven", "sre@ops", "mended")
    assert counted == {"redriven": 1}


def test_one_that_came_back_before_keeps_its_first_moment() -> None:
    """A second header would make both worthless."""
    broker = Broker()
    run(broker, case_of("messages.normal"))
    (again,) = broker.of("messages.normal")
    run(broker, case_of("messages.normal", 900, tuple(again.headers)))
    twice = broker.of("messages.normal")[1]
    assert [name for name, _ in twice.headers].count(HEADER) == 1
    assert as_first(twice, RING).timestamp == 500


def test_an_event_returns_as_it_was() -> None:
    """Byte for byte: its own identity makes a repeat harmless."""
    broker = Broker()
    run(broker, case_of("events.urgent", headers=()))
    (again,) = broker.of("events.urgent")
    assert (again.partition, again.value, again.headers) == (1, b"v", ())


def test_what_cannot_return_is_told_and_stays() -> None:
    """The others go on."""
    broker = Broker()
    counted, told, _ = run(broker, case_of("config.types"), case_of("messages.bulk"))
    assert counted == {"param_invalid": 1, "redriven": 1}
    assert [one.problem is None for one in told] == [False, True]
    assert len(broker.of("dead.marks")) == 1


def test_a_record_that_the_broker_refuses_stays() -> None:
    """Nothing is marked that was not acknowledged."""
    failure = PublishFailure("messages.normal", 10, "MSG_SIZE_TOO_LARGE", is_permanent=True, text="too large")
    broker = Broker({"messages.normal": failure})
    counted, _, _ = run(broker, case_of("messages.normal"))
    assert counted == {"too_large": 1}
    assert broker.of("dead.marks") == []


def test_a_silent_broker_ends_the_run() -> None:
    """What was not acknowledged can be tried again."""
    with pytest.raises(UnavailableError):
        run(Broker(left=1), case_of("messages.normal"))


def test_the_rate_is_kept() -> None:
    """Ten a second: portions of two, a fifth of a second apart."""
    broker = Broker()
    _, _, pauses = run(broker, *(case_of("messages.normal", offset) for offset in range(6)), rate_per_s=10.0)
    assert pauses == pytest.approx([0.0, 0.2, 0.4])

"""The publisher's settings, and what it does when its queue is full, or its producer broken."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.kafka import PublishFailure, QueueFullError, publish
from infra.kafka.failures import failure_of
from infra.kafka.publish import DEFAULTS, Publisher
from schemas.errors import UnavailableError


def test_publishing_is_idempotent_acknowledged_and_bounded() -> None:
    """The settings that no loss depends on."""
    assert DEFAULTS["acks"] == "all"
    assert DEFAULTS["enable.idempotence"] is True
    assert str(DEFAULTS["partitioner"]).startswith("murmur2")
    assert DEFAULTS["max.in.flight"] == 1, "or a refused first batch is reported as delivered"
    assert int(str(DEFAULTS["queue.buffering.max.messages"])) <= 100_000


def test_a_full_queue_pushes_back() -> None:
    """Without a broker the second record finds no room, and is not taken."""
    publisher = Publisher("127.0.0.1:1", queue_buffering_max_messages=1, log_level=0)
    reported: list[PublishFailure | None] = []
    publisher.publish("out", b"1", on_report=reported.append)
    with pytest.raises(QueueFullError):
        publisher.publish("out", b"2", on_report=reported.append)
    publisher.producer.purge()
    publisher.close(0.1)
    assert [failure.name for failure in reported if failure] == ["_PURGE_QUEUE"]


class Silent:
    """A producer that takes records and never reports one, until they are purged; `fatal` refuses them all."""

    made: list["Silent"] = []  # noqa: RUF012 - emptied by the fixture
    fatal = False

    def __init__(self, *_: object, **__: object) -> None:
        self.open: list[Callable[..., None]] = []
        self.purged: list[Callable[..., None]] = []
        Silent.made.append(self)

    def __len__(self) -> int:
        return len(self.open) + len(self.purged)

    def produce(self, *_: object, on_delivery: Callable[..., None], **__: object) -> None:
        """Take it, or refuse it for ever."""
        if self.fatal and len(Silent.made) == 1:
            raise KafkaException(KafkaError(KafkaError._FATAL))
        self.open.append(on_delivery)

    def purge(self) -> None:
        """Its records fail with the next poll."""
        self.purged, self.open = [*self.purged, *self.open], []

    def poll(self, _timeout_s: float) -> int:
        """Report what was purged."""
        time.sleep(0.001)
        told, self.purged = self.purged, []
        for report in told:
            report(KafkaError(KafkaError._PURGE_QUEUE), self)
        return len(told)

    def topic(self) -> str:
        """Of the record."""
        return "out"

    def flush(self, _timeout_s: float) -> int:
        """Nothing comes of it."""
        return len(self)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> type[Silent]:
    """Every producer is one of these, and patience is short."""
    monkeypatch.setattr(publish, "Producer", Silent)
    monkeypatch.setattr(publish, "MARGIN_S", 0.05)
    Silent.made, Silent.fatal = [], False
    return Silent


def wait_until(is_so: Callable[[], bool]) -> None:
    """For two seconds at most."""
    until_s = time.monotonic() + 2
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def test_a_producer_that_reports_nothing_is_replaced(silent: type[Silent]) -> None:
    """What it had is reported as failed: the sender asks again, or its process does it again."""
    publisher = Publisher("127.0.0.1:1", delivery_timeout_ms=1)
    reported: list[PublishFailure | None] = []
    publisher.publish("out", b"1", on_report=reported.append)
    wait_until(lambda: len(silent.made) == 2 and bool(reported))
    assert id(publisher.producer) == id(silent.made[1])
    silent.made[0].produce(on_delivery=lambda error, _: reported.append(failure_of("out", error)))
    wait_until(lambda: len(reported) == 2)
    assert [failure.name for failure in reported if failure] == ["_PURGE_QUEUE"] * 2
    publisher.close(0)


@pytest.mark.parametrize(("sends", "makes"), [(False, 2), (True, 1)])
def test_statistics_are_no_reports(
    monkeypatch: pytest.MonkeyPatch, silent: type[Silent], sends: bool, makes: int
) -> None:
    """A producer that tells those and reports nothing is replaced; one that sends is not, however long it takes."""

    class Telling(silent):  # type: ignore[misc, valid-type]  # the class of the fixture
        def __init__(self, settings: dict[str, Any], **_: object) -> None:
            super().__init__()
            self.learn, self.at = settings["stats_cb"], 0

        def poll(self, timeout_s: float) -> int:
            self.at += 1
            self.learn(msgspec.json.encode({"ts": self.at, "txmsgs": self.at if sends else 0}).decode())
            return int(super().poll(timeout_s)) + 1

    monkeypatch.setattr(publish, "Producer", Telling)
    publisher = Publisher("127.0.0.1:1", delivery_timeout_ms=1)
    publisher.publish("out", b"1")
    if makes == 2:
        wait_until(lambda: len(silent.made) == 2)
    else:
        time.sleep(0.15)
    publisher.close(0)
    assert len(silent.made) == makes


def test_a_producer_that_refuses_everything_is_replaced(silent: type[Silent]) -> None:
    """The caller is told at once, and the next record is taken."""
    silent.fatal = True
    publisher = Publisher("127.0.0.1:1")
    with pytest.raises(UnavailableError):
        publisher.publish("out", b"1")
    wait_until(lambda: len(silent.made) == 2)
    publisher.publish("out", b"2")
    assert len(silent.made[1]) == 1
    publisher.close(0)


class Lost(Silent):
    """One whose partition stands still, by its own statistics; what the broker says of its leader is up to the test."""

    leaders: tuple[int, ...] = (1,)
    is_away = False

    def __init__(self, settings: dict[str, Any], **_: object) -> None:
        super().__init__()
        self.learn: Callable[[str], None] = settings["stats_cb"]
        self.at = 0

    def poll(self, timeout_s: float) -> int:
        """Every time with statistics, two seconds after the last ones."""
        self.at += 2_000_000
        partition = {"msgq_cnt": len(self.open), "txmsgs": 3}
        told = {"ts": self.at, "topics": {"out": {"partitions": {"0": partition}}}}
        self.learn(msgspec.json.encode(told).decode())
        return super().poll(timeout_s)

    def list_topics(self, topic: str, _timeout_s: float) -> SimpleNamespace:
        """What the broker knows."""
        if self.is_away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        partitions = {number: SimpleNamespace(leader=one, error=None) for number, one in enumerate(self.leaders)}
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=partitions)})


@pytest.mark.parametrize(
    ("leaders", "is_away", "makes"), [((1, 1), False, 2), ((1, -1), False, 1), ((1,), True, 1)], ids=str
)
def test_a_producer_that_has_lost_a_partition_is_replaced(
    monkeypatch: pytest.MonkeyPatch, silent: type[Silent], leaders: tuple[int, ...], is_away: bool, makes: int
) -> None:
    """When the broker says who leads it; while nobody does, or the broker is away, the producer is right to wait."""
    for name, value in (("Producer", Lost), ("INTERVAL_MS", 1)):
        monkeypatch.setattr(publish, name, value)
    Lost.leaders, Lost.is_away = leaders, is_away
    publisher = Publisher("127.0.0.1:1")
    reported: list[PublishFailure | None] = []
    publisher.publish("out", b"1", on_report=reported.append)
    if makes == 2:
        wait_until(lambda: len(silent.made) == 2 and bool(reported))
    else:
        time.sleep(0.1)
    publisher.close(0)
    assert (len(silent.made), len(reported)) == (makes, makes - 1)


def test_an_idle_producer_is_left_alone(silent: type[Silent]) -> None:
    """However long nothing is to be reported."""
    publisher = Publisher("127.0.0.1:1", delivery_timeout_ms=1)
    time.sleep(0.12)
    publisher.close(0)
    assert len(silent.made) == 1

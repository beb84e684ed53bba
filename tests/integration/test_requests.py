"""Cancel, change of time, rebuild on a real broker: requests survive a kill, scheduled messages a lost disk and log."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec import structs

from console import asking
from console.asking import Said
from infra.kafka import LogReader, Publisher
from schemas import ids, topics
from schemas.codec import DELAYED, DELIVERY, OUTCOME, REQUEST
from schemas.partitioner import partition_of
from schemas.records import Delayed, Delivery, Event, Occurrence, Outcome, Request
from schemas.statuses import Stage
from tests import settle_rig

if TYPE_CHECKING:
    from infra.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOUR_MS = 3_600_000


class Site:
    """One settle, and somebody who asks."""

    def __init__(self, kafka: str, home: Path) -> None:
        self.settings: Settings = settle_rig.settings_for(kafka, f"requests.{time.time_ns()}", home, partitions=2)
        self.log = home / "settle.log"
        settle_rig.make_topics(self.settings)
        self.publisher = Publisher(kafka)
        self.reader = LogReader(kafka)
        self.settle = settle_rig.start_settle(self.settings, self.log)

    def accept(self, number: int, **changes: object) -> Event:
        """Intake accepts a message that is due in an hour."""
        event = settle_rig.message(number)
        assert event.plan is not None
        due = {"send_at": event.at + HOUR_MS, "expires_at": event.at + 2 * HOUR_MS, **changes}
        event = structs.replace(event, plan=structs.replace(event.plan, **due))
        topic = topics.events(settle_rig.LANE).named(self.settings.namespace)
        settle_rig.publish(self.publisher, topic, event, partition_of(event.message_id, 2))
        return event

    def ask(self, kind: str, of: bytes, send_at: int = 0) -> None:
        """Somebody asks something about a message."""
        asked = Request(os.urandom(16), kind, of, at=settle_rig.now_ms(), send_at=send_at)
        self.publisher.publish(self.settings.topic(topics.REQUESTS.name), REQUEST.encode(asked), asked.request_id)
        assert self.publisher.flush(10) == 0

    def outcomes(self) -> dict[str, str]:
        """How messages ended, by their id."""
        found: list[Outcome] = [
            OUTCOME.decode(one.value) for one in self.reader.read_all(self.settings.topic("outcomes"))
        ]
        return {one.message_id: f"{one.status}/{one.reason}" for one in found}

    def delayed(self) -> dict[bytes, Delayed | None]:
        """What `delays` holds, by message; None for a tombstone."""
        name = self.settings.topic(topics.delays(settle_rig.LANE).name)
        return {
            one.key or b"": DELAYED.decode(one.value) if one.value is not None else None
            for one in self.reader.read_all(name)
        }

    def deliveries(self) -> list[Delivery]:
        """What was issued."""
        names = [topics.deliveries(channel, settle_rig.LANE).name for channel in settle_rig.CHANNELS]
        return [DELIVERY.decode(one.value) for name in names for one in self.reader.read_all(self.settings.topic(name))]

    def forget_the_log(self) -> None:
        """The broker deletes everything in `events`, as after two weeks."""
        topic = self.settings.topic(topics.events(settle_rig.LANE).name)
        ends = [TopicPartition(topic, at, end) for at, end in self.reader.end_offsets(topic).items()]
        admin = AdminClient({"bootstrap.servers": self.settings.kafka})
        for done in admin.delete_records(ends).values():
            done.result(10)

    def stop(self) -> None:
        """End everything."""
        settle_rig.stop(self.settle)
        self.publisher.close(5)
        self.reader.close()


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    """An installation with a settle and without sinks."""
    made = Site(kafka, tmp_path)
    yield made
    made.stop()


def wait_until(is_true: Callable[[], bool], timeout_s: float = 90) -> None:
    """Wait; fail when it takes too long."""
    until = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.2)


def test_who_asks_is_told_the_truth(site: Site) -> None:
    """Moved, cancelled, then too late; nobody's message is not found."""
    of = site.accept(0).message_id
    now_ms = settle_rig.now_ms()
    said = [
        asking.ask(site.settings, request, wait_s).said
        for request, wait_s in (
            (asking.reschedule(of, now_ms + 2 * HOUR_MS, now_ms), 20.0),
            (asking.cancel(of, now_ms), 20.0),
            (asking.reschedule(of, 0, now_ms), 20.0),
            (asking.cancel(os.urandom(16), now_ms), 1.0),
        )
    ]
    assert said == [Said.DONE, Said.DONE, Said.TOO_LATE, Said.NOT_FOUND]
    now = site.accept(3).message_id
    assert asking.ask(site.settings, asking.reschedule(now, 0, now_ms), 20.0).said == Said.DONE
    wait_until(lambda: [made.message_id for made in site.deliveries()] == [now])
    assert asking.ask(site.settings, asking.cancel(now, settle_rig.now_ms()), 1.0).said == Said.UNANSWERED


def test_requests_survive_a_kill_and_scheduled_messages_a_lost_disk(site: Site) -> None:
    """A cancel, one that settle dies upon, one by a successor; then disk and log go, and what was kept is sent."""
    first, second, third, older = (site.accept(number) for number in (0, 3, 6, 9))
    wait_until(lambda: len(site.delayed()) == 4)
    site.ask("cancel", first.message_id)
    newer = site.accept(16, supersedes=older.message_id)  # the same application's
    cancelled = {ids.show(first.message_id): "cancelled/cancelled_by_sender"}
    wait_until(lambda: site.outcomes() == {**cancelled, ids.show(older.message_id): "cancelled/superseded"})
    wait_until(lambda: site.delayed()[first.message_id] is None)

    site.settle.send_signal(signal.SIGSTOP)
    site.ask("cancel", second.message_id)
    site.ask("reschedule", third.message_id, settle_rig.now_ms() + 5 * HOUR_MS)
    settle_rig.stop(site.settle)
    site.settle = settle_rig.start_settle(site.settings, site.log)
    wait_until(lambda: site.outcomes().get(ids.show(second.message_id)) == "cancelled/cancelled_by_sender")
    wait_until(lambda: (site.delayed()[third.message_id] or Delayed(b"")).due_at > third.at + 4 * HOUR_MS)

    site.settle.terminate()
    site.settle.wait(60)
    shutil.rmtree(site.settings.state_folder)
    site.forget_the_log()
    site.settle = settle_rig.start_settle(site.settings, site.log)
    site.ask("reschedule", third.message_id)
    wait_until(lambda: bool(site.deliveries()))
    (made,) = site.deliveries()
    assert third.plan is not None
    assert (made.message_id, made.attempt, made.sealed) == (third.message_id, 1, third.plan.channels[0].sealed)
    assert {of for of, kept in site.delayed().items() if kept is not None} == {third.message_id, newer.message_id}
    assert '"delays read"' in site.log.read_text("utf-8")


def test_a_message_that_repeats_is_sent_again_and_taken_back_whole_or_in_part(site: Site) -> None:
    """Settle dies upon it and is told twice: each sending counts once; one is taken back alone, then all others."""
    day_ms = 24 * HOUR_MS
    now_ms = settle_rig.now_ms()
    later = [
        Occurrence(now_ms + n * day_ms, now_ms + n * day_ms + HOUR_MS, [b"sealed %d" % n, b"sealed too"])
        for n in (1, 2, 3)
    ]
    site.settle.send_signal(signal.SIGSTOP)
    first = site.accept(1, later=later)
    settle_rig.stop(site.settle)
    site.settle = settle_rig.start_settle(site.settings, site.log)
    wanted = [first.message_id, *(ids.occurrence(first.message_id, n) for n in (1, 2, 3))]
    wait_until(lambda: site.delayed().keys() == {*wanted})
    settle_rig.stop(site.settle)
    settle_rig.publish(
        site.publisher,
        topics.events(settle_rig.LANE).named(site.settings.namespace),
        first,
        partition_of(first.message_id, 2),
    )
    site.settle = settle_rig.start_settle(site.settings, site.log)

    site.ask("cancel", wanted[2])
    ended = "cancelled/cancelled_by_sender"
    wait_until(lambda: site.outcomes() == {ids.show(wanted[2]): ended})
    site.ask("reschedule", wanted[1])
    wait_until(lambda: [made.sealed for made in site.deliveries()] == [b"sealed 1"])
    site.ask("cancel", first.message_id)
    left = {ids.show(of): ended for of in (wanted[0], wanted[2], wanted[3])}
    wait_until(lambda: site.outcomes().items() >= left.items())
    assert {made.message_id for made in site.deliveries()} == {wanted[1]}
    accepted = [event for _, event in settle_rig.log_of(site.settings) if event.stage == Stage.ACCEPTED]
    assert {event.message_id for event in accepted} == {*wanted}
    assert all(
        event.plan == sent.plan for event in accepted for sent in accepted if event.message_id == sent.message_id
    )

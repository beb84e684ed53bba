"""Settle on a real broker with a fake sink in another process: kills, a lost disk, a second settle, a frozen one."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from infra.crypto import load_keyring
from infra.kafka import LogReader, Publisher
from infra.settings import Settings
from schemas import ids, topics
from schemas.codec import DEAD_LETTER, OUTCOME
from schemas.records import Event, Outcome
from schemas.statuses import Stage
from streams.fold import Effect, fold
from streams.message_state import Place
from tests import settle_rig

if TYPE_CHECKING:
    from subprocess import Popen

    from streams.message_state import MessageState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SESSION_S: Final = 6.0


class Site:
    """One installation's settles, each with a home of its own, and the fake sink."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.folder = folder
        self.namespace = f"settle.{time.time_ns()}"
        self.kafka = kafka
        self.running: dict[str, Popen[bytes]] = {}
        self.calls = folder / "calls"
        self.calls.touch()
        settle_rig.make_topics(self.settings("a"))
        self.running["sink"] = settle_rig.start_sink(self.settings("a"), self.calls, fail_percent=10)

    def settings(self, name: str) -> Settings:
        """The settings of the settle of that name."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        return settle_rig.settings_for(self.kafka, self.namespace, home)

    def start(self, name: str) -> None:
        """Start that settle."""
        self.running[name] = settle_rig.start_settle(self.settings(name), self.folder / f"{name}.log")

    def kill(self, name: str, *, disk_too: bool = False) -> None:
        """Kill -9, and delete its disk if wanted."""
        settle_rig.stop(self.running.pop(name))
        if disk_too:
            shutil.rmtree(self.settings(name).state_folder)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Freeze or wake it."""
        os.kill(self.running[name].pid, number)

    def told(self) -> list[Outcome]:
        """The outcomes so far; one may be told twice."""
        with LogReader(self.kafka) as reader:
            records = reader.read_all(self.settings("a").topic(topics.OUTCOMES.name))
            return [OUTCOME.decode(record.value) for record in records]

    def completed(self) -> int:
        """How many messages have an outcome."""
        return len({outcome.message_id for outcome in self.told()})

    def stop(self) -> None:
        """End everything."""
        settle_rig.stop(*self.running.values())


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Iterator[Site]:
    """An installation with a fake sink, without a settle yet."""
    made = Site(kafka, tmp_path)
    yield made
    made.stop()


def wait_until(is_true: Callable[[], bool], timeout_s: float) -> None:
    """Wait; fail when it takes too long."""
    until = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.5)


def ledger(site: Site) -> tuple[Counter[bytes], dict[bytes, list[tuple[str, int]]], int]:
    """Completions that count per message, attempts called per message, and calls after a logged success."""
    states: dict[bytes, MessageState | None] = {}
    counted: Counter[bytes] = Counter()
    succeeded: set[tuple[bytes, str]] = set()
    reissued = 0
    for record, event in settle_rig.log_of(site.settings("a")):
        states[event.message_id], effect = fold(
            states.get(event.message_id), event, Place(record.offset, record.timestamp)
        )
        counted[event.message_id] += effect == Effect.COMPLETED
        if event.stage == Stage.OUTCOME and event.status == "accepted":
            succeeded.add((event.message_id, event.channel))
        reissued += effect == Effect.ISSUED and (event.message_id, event.channel) in succeeded
    calls: dict[bytes, list[tuple[str, int]]] = {}
    for line in site.calls.read_text("ascii").splitlines():
        _, message_id, channel, attempt = line.split()
        calls.setdefault(bytes.fromhex(message_id), []).append((channel, int(attempt)))
    return counted, calls, reissued


def test_nothing_is_lost_or_doubled_by_kills_lost_disks_and_frozen_settles(site: Site) -> None:
    """Kill -9, kill with the disk deleted, a second settle, one frozen past its session: N in = N final, 0 doubles."""
    fed: dict[bytes, int] = {}
    site.start("a")
    feeding = threading.Thread(target=lambda: fed.update(settle_rig.feed(site.settings("a"), 2_600, 120.0)))
    feeding.start()
    wait_until(lambda: site.completed() > 0, 60)
    time.sleep(1)
    site.kill("a")
    site.start("a")
    time.sleep(3)
    site.start("b")
    time.sleep(4)
    site.signal("b", signal.SIGSTOP)
    time.sleep(SESSION_S + 2)
    site.signal("b", signal.SIGCONT)
    time.sleep(1)
    site.kill("a", disk_too=True)
    site.start("a")
    feeding.join()
    wait_until(lambda: site.completed() >= len(fed), 90)
    time.sleep(1)
    counted, calls, reissued = ledger(site)
    assert len(fed) == 2_600
    assert {counted[of] for of in fed} == {1}
    assert [of for of in fed if len(set(calls[of])) != len(calls[of])] == []
    assert reissued == 0


def test_every_outcome_is_told(site: Site) -> None:
    """The application gets an outcome for each message, with its reference, whatever dies meanwhile."""
    site.start("a")
    fed = settle_rig.feed(site.settings("a"), 600, 200.0)
    wait_until(lambda: site.completed() > 0, 60)
    site.kill("a", disk_too=True)
    fed |= settle_rig.feed(site.settings("a"), 100, first=600)
    site.start("a")
    wait_until(lambda: site.completed() >= len(fed), 90)
    time.sleep(1)
    told = site.told()
    assert {one.message_id for one in told} == {ids.show(of) for of in fed}
    assert {one.reference for one in told} == {f"visit-{number}" for number in fed.values()}


def test_bytes_that_are_no_event_become_a_dead_letter(site: Site) -> None:
    """Garbage in the log costs one dead letter; timers and everybody else go on, also after a restart."""
    settings = site.settings("a")
    load_keyring(settings)
    events = settings.topic(topics.events(settle_rig.LANE).name)
    site.start("a")
    fed = settle_rig.feed(settings, 50)
    publisher = Publisher(site.kafka)
    for partition in range(settings.partitions):
        publisher.publish(events, b"no event at all", bytes(16), partition=partition)
    silent = Event(os.urandom(16), Stage.REJECTED, status="rejected", app_id="app1", reason="token_expired")
    settle_rig.publish(publisher, events, silent, 0)
    assert publisher.close(10.0) == 0
    fed |= settle_rig.feed(settings, 50, first=50)
    wait_until(lambda: site.completed() >= len(fed) + 1, 60)
    with LogReader(site.kafka) as reader:
        letters = [DEAD_LETTER.decode(record.value) for record in reader.read_all(settings.topic("dead"))]
    assert Counter(letter.reason for letter in letters) == {"decode_error": settings.partitions}
    site.kill("a", disk_too=True)
    site.start("a")
    fed |= settle_rig.feed(settings, 10, first=100)
    wait_until(lambda: site.completed() >= len(fed) + 1, 60)

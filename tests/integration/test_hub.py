"""The transport on a real broker: whatever happens to workers and broker, no record is lost, few are done twice."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.crypto import Ring
from infra.dead import opened
from infra.kafka import LogReader
from infra.local import broker, processes
from infra.local.ports import any_port
from schemas.codec import DEAD_LETTER
from tests.integration.hub_stage import PARTITIONS, Feeder, Stage, by_whom, wait_for


def workers_of(stage: Stage, since_ms: int = 0) -> set[int]:
    """Process ids of the workers that copied something since then."""
    return {pid for _, pid, at_ms in by_whom(stage.copied()) if at_ms > since_ms}


@pytest.fixture
def stage(kafka: str, tmp_path: Path) -> Iterator[Stage]:
    """Topics and workers of one test."""
    made = Stage(kafka, tmp_path)
    yield made
    made.close()


def test_joining_killing_and_stopping_workers_loses_nothing(stage: Stage) -> None:
    """A second worker joins, dies by kill -9, a third joins, the first stops: doubles only from the kill."""
    first = stage.start(work_s=0.02)
    with Feeder(stage, 150):
        wait_for(lambda: first.pid in workers_of(stage), 60, "the first copy")
        second = stage.start(work_s=0.02)
        wait_for(lambda: second.pid in workers_of(stage), 60, "a copy of the second worker")
        before_kill = stage.doubles()
        second.kill()
        third = stage.start(work_s=0.02)
        wait_for(lambda: third.pid in workers_of(stage), 60, "a copy of the third worker")
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
        time.sleep(0.5)
    stage.await_drained()
    third.send_signal(signal.SIGTERM)
    assert third.wait(60) == 0
    assert before_kill == 0, "a join makes no doubles"
    assert stage.missing() == set()
    assert stage.doubles() <= 400, "what one worker did between two commits, and amid a chunk"


def test_one_poison_record_in_500_costs_one_letter_and_nothing_else(stage: Stage) -> None:
    """The other 499 are copied exactly once; the letter opens to the very record."""
    stage.send(*(b"poison" if number == 250 else b"%d" % number for number in range(500)), partition=0)
    worker = stage.start(max_records=500)
    stage.await_drained()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert Counter(record.value for record in stage.copied()) == Counter(b"%d" % at for at in range(500) if at != 250)
    with LogReader(stage.bootstrap) as reader:
        (found,) = reader.read_all(stage.topic("dead"))
    letter = DEAD_LETTER.decode(found.value)
    assert (letter.origin_topic, letter.origin_partition, letter.origin_offset) == (stage.topic("in"), 0, 250)
    assert letter.reason == "internal"
    assert opened(letter, Ring("dead", {1: bytes(32)})).value == b"poison"


def test_markers_and_aborted_records_are_stepped_over_while_chunks_finish_out_of_order(stage: Stage) -> None:
    """What was aborted is not copied; the offset ends behind the last record, over all gaps."""
    producer = Producer({"bootstrap.servers": stage.bootstrap, "transactional.id": stage.namespace})
    producer.init_transactions(20)
    for part in range(6):
        producer.begin_transaction()
        for number in range(part * 20, part * 20 + 20):
            value = b"aborted" if part % 2 else b"%d" % number
            producer.produce(stage.topic("in"), value, partition=0)
        producer.flush(10)
        if part % 2:
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
    wait_for(lambda: stage.end(0) == 6 * 21, 60, "the last marker, which is written after the commit is answered")
    stage.send(b"last", partition=0)
    worker = stage.start(max_records=3, settle_s=0.1)
    stage.await_drained()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    wanted = [b"%d" % number for part in (0, 2, 4) for number in range(part * 20, part * 20 + 20)]
    assert Counter(record.value for record in stage.copied()) == Counter([*wanted, b"last"])
    assert stage.committed()[0] == 6 * 21 + 1, "20 records and a marker a transaction, and the last record"


def test_a_hanging_handler_holds_its_own_offset_and_the_worker_still_stops(stage: Stage) -> None:
    """What it had not finished is done by the next worker; nothing behind it was committed."""
    for partition in range(PARTITIONS):
        stage.send(*(b"%d" % (partition * 100 + at) for at in range(100)), partition=partition)
    stage.sent = PARTITIONS * 100
    worker = stage.start(max_records=10, hangs_at=150)
    wait_for(lambda: stage.lag() < stage.sent, 60, "something committed")
    time.sleep(1.5)
    assert stage.committed()[1] <= 50
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    assert time.monotonic() - began < 10
    assert stage.committed()[1] <= 50
    stage.start(max_records=10)
    stage.await_drained()
    assert stage.missing() == set()


def test_a_frozen_worker_that_wakes_publishes_nothing_stale(stage: Stage) -> None:
    """Frozen for twice its session, amid a chunk: what the other has done meanwhile it does not do again."""
    frozen = stage.start(work_s=0.2, max_records=20)
    with Feeder(stage, 100):
        wait_for(lambda: len(stage.copied()) > 0, 60, "the first copy")
        other = stage.start(work_s=0.05, max_records=20)
        wait_for(lambda: other.pid in workers_of(stage), 60, "the other's first copy")
        froze_ms = int(time.time() * 1000)
        frozen.send_signal(signal.SIGSTOP)
        time.sleep(4.5)
        woke_ms = int(time.time() * 1000)
        frozen.send_signal(signal.SIGCONT)
        wait_for(lambda: frozen.pid in workers_of(stage, woke_ms), 60, "a copy of the woken worker")
    stage.await_drained()
    copies = list(by_whom(stage.copied()))
    theirs = {number for number, pid, _ in copies if pid == other.pid}
    late = [number for number, pid, at_ms in copies if pid == frozen.pid and at_ms > froze_ms + 50]
    assert [number for number in late if number in theirs] == []
    assert stage.missing() == set()


def test_errors_at_the_first_joins_do_not_leave_a_zombie(stage: Stage) -> None:
    """The watchdog consumes what aiokafka parks, and the worker joins after all."""
    stage.numbers(100)
    worker = stage.start(join_faults=2)
    stage.await_drained()
    assert stage.missing() == set()
    assert stage.log_of(worker).count("coordinator error") == 2


def test_a_broker_that_restarts_under_load_costs_no_record(tmp_path: Path) -> None:
    """Workers and publisher wait for it and go on by themselves."""
    site = broker.site_under(tmp_path / "broker", any_port(), any_port())
    running = broker.start(site, os.environ, ends_with_parent=True)
    stage = Stage(site.bootstrap, tmp_path)
    try:
        worker = stage.start()
        with Feeder(stage, 200):
            wait_for(lambda: len(stage.copied()) > 0, 60, "the first copy")
            assert processes.stop([running], broker.STOP_GRACE_S) == []
            time.sleep(1.0)
            running = broker.start(site, os.environ, ends_with_parent=True)
            time.sleep(3.0)
        stage.await_drained()
        assert worker.poll() is None
        assert stage.missing() == set()
        assert stage.doubles() == 0
    finally:
        stage.close()
        processes.stop([running], broker.STOP_GRACE_S)

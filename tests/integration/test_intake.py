"""Intake on a real broker: N records in, N answers out, whatever kills it meanwhile."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from console.cli.main import build
from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.dead import DeadOffice, origin_of
from infra.kafka import LogReader, LogRecord, Publisher
from infra.registry_files import load
from infra.settings import Settings
from infra.tokens import mint
from schemas import ids, topics
from schemas.codec import DEAD_LETTER, EVENT, MESSAGE
from schemas.errors import Reason
from schemas.records import Event, Message, RecipientRef
from schemas.statuses import LANES

PROGRAM = (
    "import sys; from infra import settings; from streams.intake import run; sys.exit(run(settings.load(), 'normal'))"
)


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """An installation of its own on the shared broker."""
    one = Settings(home=tmp_path, kafka=kafka, namespace=f"i{uuid4().hex[:8]}", simulators="http://127.0.0.1:9")
    provision_installation(one)
    return one


class Workers:
    """Intake processes of the normal lane, ended with the test."""

    def __init__(self, settings: Settings, log_folder: Path) -> None:
        self._environment = settings_module.environment_for(settings)
        self._folder = log_folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """One more process."""
        with (self._folder / f"intake-{len(self.running)}.log").open("wb") as out:
            one = subprocess.Popen([sys.executable, "-c", PROGRAM], env=self._environment, stdout=out, stderr=out)
        self.running.append(one)
        return one

    def stop(self) -> list[int]:
        """Ask all that still run to stop; their exit codes."""
        alive = [one for one in self.running if one.poll() is None]
        for one in alive:
            one.send_signal(signal.SIGTERM)
        return [one.wait(60) for one in alive]


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> Iterator[Workers]:
    """No process yet."""
    found = Workers(settings, tmp_path)
    yield found
    for one in found.running:
        if one.poll() is None:
            one.kill()
            one.wait()


Asked = tuple[str, dict[str, str], str, tuple[str, str, str]]
"""Type, parameters, patient; lane, stage and reason of the answer."""


class Feeder:
    """Sends messages of the sample's HIS, good and bad, and remembers what must come of each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._publisher = Publisher(settings.kafka)
        secret = load(sample_folder()).apps["his"].keys[0].sealed
        self._token = b"Bearer " + mint("his", "his-1", "HS256", secret, time.time(), 3_600).encode()
        self.expected: dict[bytes, tuple[str, str, str]] = {}
        self.undecodable = 0

    def send(self, number: int) -> None:
        """The n-th record: mostly good ones; some refused, some urgent or bulk in this lane, some no message at all."""
        reference = f"R{number}"
        message_id = ids.from_reference("his", reference)
        good = {"department": "心内科", "room": "3 诊室", "number": "7"}
        sort = number % 50
        if sort == 7:
            self.undecodable += 1
            self._publish(b"no message %d" % number, number)
            return
        call = ("queue_called", good, "P0001", ("urgent", "accepted", ""))
        unknown = ("queue_called", good, "nobody", ("urgent", "rejected", "recipient_unknown"))
        lacking = ("queue_called", {"room": "3"}, "P0002", ("urgent", "rejected", "missing_parameter"))
        foreign: Asked = ("lab_report", {}, "P0001", ("normal", "rejected", "type_not_granted"))
        follow = {"department": "心内科", "question": "近来可好？", "due_date": "12月1日"}
        bulk = ("follow_up", follow, "P0003", ("bulk", "accepted", ""))
        visit = {"department": "骨科", "doctor": "李医生", "visit_time": "明日 9:00", "location": "三楼", "number": "9"}
        plain = ("registration_confirmed", visit, "P0004", ("normal", "accepted", ""))
        kind, values, patient, answer = {1: call, 2: unknown, 3: lacking, 4: foreign, 5: bulk}.get(sort, plain)
        message = Message("", "his", kind, RecipientRef("patient_id", patient), {}, values, reference=reference)
        self.expected[message_id] = answer
        self._publish(MESSAGE.encode(message), number)

    def _publish(self, value: bytes, number: int) -> None:
        topic = self._settings.topic(topics.messages("normal").name)
        self._publisher.publish(topic, value, str(number).encode(), [("authorization", self._token)])

    def close(self) -> None:
        """Everything is on the broker."""
        assert self._publisher.close(30) == 0


def waits_for(settings: Settings) -> list[str] | None:
    """What the process's /ready is missing; None while it does not answer."""
    try:
        port = json.loads((settings.run_folder / "intake.normal.json").read_text("utf-8"))["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            found: list[str] = json.load(answer)["waits_for"]
    except urllib.error.HTTPError as refused:
        found = json.load(refused)["waits_for"]
    except OSError:
        return None
    return found


def events_of(settings: Settings) -> list[tuple[str, Event]]:
    """(lane of the topic, event) of all lanes."""
    with LogReader(settings.kafka) as reader:
        return [
            (lane, EVENT.decode(record.value))
            for lane in LANES
            for record in reader.read_all(settings.topic(topics.events(lane).name))
        ]


def dead_origins(settings: Settings) -> set[bytes]:
    """Where the dead letters came from."""
    with LogReader(settings.kafka) as reader:
        letters = [DEAD_LETTER.decode(record.value) for record in reader.read_all(settings.topic(topics.DEAD.name))]
    assert {letter.reason for letter in letters} <= {"decode_error"}
    return {origin_of(one.origin_topic, one.origin_partition, one.origin_offset) for one in letters}


def answered(settings: Settings) -> int:
    """Records that events and dead letters have come of, repeats included."""
    names = [settings.topic(topics.events(lane).name) for lane in LANES] + [settings.topic(topics.DEAD.name)]
    with LogReader(settings.kafka) as reader:
        return sum(sum(reader.end_offsets(name).values()) for name in names)


def wait_for(settings: Settings, count: int, within_s: float) -> None:
    """Until so many answers are there; fails when they are not in time."""
    end = time.monotonic() + within_s
    while answered(settings) < count:
        assert time.monotonic() < end, f"{answered(settings)} of {count} answers"
        time.sleep(0.1)


def complete(settings: Settings, feeder: Feeder, within_s: float) -> list[tuple[str, Event]]:
    """All events, once every message has one and every undecodable record its letter."""
    end = time.monotonic() + within_s
    while True:
        events = events_of(settings)
        missing = feeder.expected.keys() - {event.message_id for _, event in events}
        lost = feeder.undecodable - len(dead_origins(settings))
        if not missing and not lost:
            return events
        assert time.monotonic() < end, f"{len(missing)} messages and {lost} undecodable records without answer"
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_record_is_answered_though_workers_are_killed(settings: Settings, workers: Workers) -> None:
    """Two processes, two kill -9, one replaced: an answer for each record, all answers of a record the same."""
    apply_place(settings, sample_folder())
    feeder = Feeder(settings)
    for number in range(3_000):
        feeder.send(number)
    first = workers.start()
    wait_for(settings, 300, 60)
    first.kill()
    second = workers.start()
    for number in range(3_000, 6_000):
        feeder.send(number)
    feeder.close()
    wait_for(settings, 2_000, 60)
    second.kill()
    workers.start()
    workers.start()
    events = complete(settings, feeder, 90)
    assert set(workers.stop()) <= {0, -signal.SIGTERM}  # the last one may not even have begun
    answers: dict[bytes, set[tuple[str, str, str]]] = {}
    for lane, event in events:
        assert lane == event.lane
        answers.setdefault(event.message_id, set()).add((event.lane, event.stage, event.reason))
    assert answers == {message_id: {answer} for message_id, answer in feeder.expected.items()}
    identities = Counter((event.message_id, event.stage, event.status) for _, event in events)
    assert len(identities) == len(feeder.expected)
    assert all(event.config_version == 1 for _, event in events)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_intake_without_registry_answers_nobody_until_it_is_there(settings: Settings, workers: Workers) -> None:
    """Not ready, nothing rejected; as soon as something is applied, everybody is answered."""
    feeder = Feeder(settings)
    for number in range(200):
        feeder.send(number)
    feeder.close()
    workers.start()
    end = time.monotonic() + 60
    while waits_for(settings) != ["the registry and the recipients"]:
        assert time.monotonic() < end, waits_for(settings)
        time.sleep(0.1)
    time.sleep(1)
    assert answered(settings) == 0
    apply_place(settings, sample_folder())
    complete(settings, feeder, 30)
    assert workers.stop() == [0]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_intake_that_never_saw_a_registry_still_stops_in_time(settings: Settings, workers: Workers) -> None:
    """Waiting for a configuration must not outlive a SIGTERM."""
    feeder = Feeder(settings)
    feeder.send(0)
    feeder.close()
    workers.start()
    end = time.monotonic() + 60
    while waits_for(settings) != ["the registry and the recipients"]:
        assert time.monotonic() < end, waits_for(settings)
        time.sleep(0.1)
    assert workers.stop() == [0]


def buried(settings: Settings) -> None:
    """The dead letter of a good message without reference, two hours old; its token has long expired."""
    now_s = time.time()
    secret = load(sample_folder()).apps["his"].keys[0].sealed
    token = b"Bearer " + mint("his", "his-1", "HS256", secret, now_s - 7_200, 300).encode()
    visit = {"department": "骨科", "doctor": "李医生", "visit_time": "明日 9:00", "location": "三楼", "number": "9"}
    message = Message("", "his", "registration_confirmed", RecipientRef("patient_id", "P0004"), {}, visit)
    topic = settings.topic(topics.messages("normal").name)
    at_ms = int((now_s - 7_200) * 1000)
    record = LogRecord(topic, 1, 4_711, at_ms, b"k", MESSAGE.encode(message), (("authorization", token),))
    publisher = Publisher(settings.kafka)

    class Out:
        def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
            publisher.publish(topic, value, key)

    ring = load_keyring(settings).ring("dead")
    DeadOffice(settings.topic(topics.DEAD.name), ring, SystemClock(), "test").bury(Out(), record, Reason.INTERNAL, "")
    assert publisher.close(10) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_dead_letter_that_is_put_back_is_judged_as_the_first_time(
    settings: Settings, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token was good then; its id is that of its first place; put back once, however often it is asked."""
    for name, value in settings_module.environment_for(settings).items():
        monkeypatch.setenv(name, value)
    apply_place(settings, sample_folder())
    buried(settings)
    dlq = partial(CliRunner().invoke, build(), standalone_mode=False)
    assert dlq(["dlq", "redrive", "--all", "--note", "mended"]).return_value == 0
    assert "没有待处理" in dlq(["dlq", "redrive", "--all"]).output
    workers.start()
    wait_for(settings, 2, 60)
    ((lane, event),) = events_of(settings)
    assert (lane, event.stage, event.reason) == ("normal", "accepted", "")
    assert event.message_id == ids.from_position(settings.topic(topics.messages("normal").name), 1, 4_711)
    assert time.time() * 1000 - event.accepted_at > 7_000_000

"""Around the foreign samples' tests: they are built when they changed, run, and answered as intake and settle would.

A sample publishes a record; the desk of the real intake judges it (token, grants, parameters); the outcome of an
accepted message is published, and the sample must find it.
"""

import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import Final

from msgspec import Struct

from infra.kafka import LogReader, LogRecord, Publisher, TopicSpec, provision
from infra.local.java import require_java, require_maven
from schemas import ids, topics
from schemas.codec import MESSAGE, OUTCOME
from schemas.configuration import AppConfig, AppKey, Identity, Parameter, Recipient
from schemas.records import Event, Outcome
from schemas.statuses import Lane, Stage
from tests import hospital
from tests.vendor_files import SECRET

SAMPLES: Final = Path(__file__).parents[2] / "samples"
JAVA: Final = SAMPLES / "java"
JAVASCRIPT: Final = SAMPLES / "javascript"
STAMP: Final = JAVA / "target" / "built.stamp"
PARTITIONS: Final = 4
PATIENT: Final = Recipient("P0001", [Identity("patient_id", "P0001")], hospital.PATIENT.addresses)
APP: Final = AppConfig("his", keys=[AppKey("his-1", sealed=SECRET.encode())], types=["*"], channels=["*"])
NAMES: Final = ("department", "doctor", "visit_time", "location", "number")
KIND: Final = hospital.kind(
    "registration_confirmed",
    [hospital.entry("sms", text="{{ department }} {{ doctor }} {{ visit_time }} {{ location }} {{ number }}")],
    parameters=[Parameter(name) for name in NAMES],
)


class Ran(Struct, frozen=True):
    """A sample's run: the record that it published, what intake answered, its exit code and output."""

    record: LogRecord
    event: Event
    code: int
    output: str


def built_java() -> list[str]:
    """The command before a class's name; built with Maven when a source is newer: from its cache, else online."""
    sources = [JAVA / "pom.xml", *JAVA.rglob("src/**/*.*")]
    if not STAMP.exists() or STAMP.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        build = [require_maven(), "-q", "-B", "-f", str(JAVA / "pom.xml"), "compile"]
        if subprocess.run([*build, "-o"], capture_output=True, check=False).returncode:
            subprocess.run(build, check=True)
        STAMP.touch()
    return [require_java(), "-cp", f"{JAVA / 'target' / 'classes'}:{JAVA / 'target' / 'lib' / '*'}"]


def built_javascript(node: str, npm: str) -> list[str]:
    """The command before a program's name; its one package is installed as the lock file says."""
    if not (JAVASCRIPT / "node_modules" / "kafkajs").exists():
        subprocess.run([npm, "ci", "--silent"], cwd=JAVASCRIPT, check=True)
    return [node]


def golden_lines(command: list[str]) -> dict[str, str]:
    """What a sample's golden program prints, by name."""
    done = subprocess.run([*command, SECRET], capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def run(bootstrap: str, command: list[str], reference: str) -> Ran:
    """Run a sending sample on topics of its own, and answer what it publishes."""
    namespace = f"f{uuid.uuid4().hex[:8]}"
    incoming, outcomes = topics.messages(Lane.NORMAL).named(namespace), topics.OUTCOMES.named(namespace)
    stamped = {"message.timestamp.type": "LogAppendTime"}
    provision(bootstrap, [TopicSpec(name, PARTITIONS, 1, stamped) for name in (incoming, outcomes)])
    environment = {**os.environ, "MEDPOST_KAFKA": bootstrap, "MEDPOST_NAMESPACE": namespace}
    with subprocess.Popen(
        [*command, "P0001", reference], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as sample:
        try:
            record = _first(bootstrap, incoming, sample)
            event = _answer(bootstrap, outcomes, record)
            output, _ = sample.communicate(timeout=60)
        finally:
            sample.kill()
    return Ran(record, event, sample.returncode, output)


def _first(bootstrap: str, topic: str, sample: "subprocess.Popen[str]") -> LogRecord:
    with LogReader(bootstrap) as reader:
        while sample.poll() is None:
            for record in reader.read_all(topic):
                return record
            time.sleep(0.1)
    raise AssertionError(f"it ended before it published: {sample.stdout.read() if sample.stdout else ''}")


def _answer(bootstrap: str, topic: str, record: LogRecord) -> Event:
    """What intake says; and, for an accepted message, an outcome for the application."""
    desk = hospital.desk(hospital.snapshot(KIND, app=APP), hospital.People(PATIENT))
    event = desk.answer(record, Lane.NORMAL, record.timestamp)
    if event.stage == Stage.ACCEPTED:
        told = Outcome(ids.show(event.message_id), "his", MESSAGE.decode(record.value).reference, event.type, "sent")
        publisher = Publisher(bootstrap)
        publisher.publish(topic, OUTCOME.encode(told), b"his")
        publisher.close(10)
    return event

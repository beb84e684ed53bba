"""Bench case `intake`: messages per second through one intake process, from record read to event acknowledged.

The sample hospital's registry and people; messages of four applications, five types, one or two channels each, one in
fifty refused; all of them in the topic before the process starts. Measured by the broker's time stamps, without the
first ones. As a program: `python -m tests.bench.case_intake BOOTSTRAP [MESSAGES]` prints one figure.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from infra import settings as settings_module
from infra.kafka import LogReader, Publisher
from infra.registry_files import load
from infra.settings import Settings
from infra.tokens import mint
from schemas import topics
from schemas.codec import MESSAGE
from schemas.records import Message, RecipientRef
from schemas.statuses import LANES

NAME: Final = "intake"
UNIT: Final = "msg/s"
GOAL: Final = 6_000.0
MESSAGES: Final = 100_000
"""Some 15 s at the goal."""
WARM: Final = 5_000
"""Answers before the clock starts, so that templates are compiled and connections made."""
TIMEOUT_S: Final = 180.0
FEED_AT_ONCE: Final = 20_000

_VISIT: Final = {"department": "心内科", "doctor": "王医生", "location": "门诊三楼 A 区", "number": "17"}
KINDS: Final = (
    ("his", "registration_confirmed", "patient_id", "P", {**_VISIT, "visit_time": "11月23日 09:30"}),
    ("his", "registration_confirmed", "patient_id", "P", {**_VISIT, "visit_time": "11月24日 14:00"}),
    ("lis", "lab_report", "patient_id", "P", {"item": "血常规五分类", "report_time": "11月22日 15:20"}),
    ("pacs", "exam_report", "patient_id", "P", {"item": "胸部 CT 平扫", "report_time": "11月22日 16:05"}),
    (
        "booking",
        "visit_cancelled",
        "patient_id",
        "P",
        {"department": "骨科", "doctor": "李医生", "visit_date": "12月1日"},
    ),
)
PROGRAM: Final = (
    "import sys; from infra import settings; from streams.intake import run; sys.exit(run(settings.load(), 'normal'))"
)


def run(kafka: str, messages: int = MESSAGES) -> float:
    """Messages per second of one run; raises AssertionError when not every message was answered."""
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as folder:
        settings = Settings(
            home=Path(folder), kafka=kafka, namespace=f"bench.intake.{time.time_ns()}", simulators="http://127.0.0.1:9"
        )
        provision_installation(settings)
        apply_place(settings, sample_folder())
        feed(settings, messages + WARM)
        with (Path(folder) / "intake.log").open("wb") as out:
            one = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], env=settings_module.environment_for(settings), stdout=out, stderr=out
            )
        try:
            wait_for_answers(settings, messages + WARM, one)
        finally:
            one.kill()
            one.wait()
        return rate(settings, messages + WARM)


def feed(settings: Settings, count: int) -> None:
    """Put the messages into the topic."""
    apps = load(sample_folder()).apps
    now_s = time.time()
    tokens = {
        app_id: [("authorization", b"Bearer " + mint(app_id, key.key_id, "HS256", key.sealed, now_s, 3_600).encode())]
        for app_id, app in apps.items()
        for key in app.keys
    }
    topic = settings.topic(topics.messages("normal").name)
    publisher = Publisher(settings.kafka)
    for number in range(count):
        value, app_id = message(number)
        publisher.publish(topic, value, str(number).encode(), tokens[app_id])
        if number % FEED_AT_ONCE == 0:
            publisher.flush(30)
    assert publisher.close(30) == 0


def message(number: int) -> tuple[bytes, str]:
    """The n-th message as bytes, and its application; one in fifty names nobody that is known."""
    app_id, kind, id_type, prefix, values = KINDS[number % len(KINDS)]
    patient = f"{prefix}{number % 60 + 1:04d}" if number % 50 else "unknown"
    asked = Message("", app_id, kind, RecipientRef(id_type, patient), {}, values, reference=f"R{number}")
    return MESSAGE.encode(asked), app_id


def wait_for_answers(settings: Settings, count: int, worker: subprocess.Popen[bytes]) -> None:
    """Until every message has its event."""
    end = time.monotonic() + TIMEOUT_S
    names = [settings.topic(topics.events(lane).name) for lane in LANES]
    with LogReader(settings.kafka) as reader:
        while sum(sum(reader.end_offsets(name).values()) for name in names) < count:
            assert worker.poll() is None, "intake died"
            assert time.monotonic() < end, f"not {count} answers in {TIMEOUT_S} s"
            time.sleep(0.5)


def rate(settings: Settings, count: int) -> float:
    """Answers per second after the warm-up, by when the broker appended them."""
    with LogReader(settings.kafka) as reader:
        times = sorted(record.timestamp for record in reader.read_all(settings.topic(topics.events("normal").name)))
    assert len(times) == count, f"{len(times)} answers to {count} messages"
    return (count - WARM) * 1000 / (times[-1] - times[WARM])


if __name__ == "__main__":
    print(round(run(sys.argv[1], *map(int, sys.argv[2:]))))  # noqa: T201 - the program's answer

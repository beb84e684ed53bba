"""The sample hospital's day, and files from outside, published to the real broker through the real command."""

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from console.sample.hospital import SampleTotals, publish_sample
from infra.kafka import LogReader
from infra.settings import Settings, environment_for
from schemas.codec import MESSAGE
from schemas.records import Message
from schemas.statuses import LANES

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """An installation of its own, with the sample registry in force."""
    made = Settings(kafka=kafka, namespace=f"t{uuid.uuid4().hex[:10]}", home=tmp_path)
    provision_installation(made)
    apply_place(made, sample_folder())
    return made


def in_the_log(settings: Settings) -> dict[str, list[Message]]:
    """Every message of every lane."""
    with LogReader(settings.kafka) as reader:
        return {
            lane: [MESSAGE.decode(record.value) for record in reader.read_all(settings.topic(f"messages.{lane}"))]
            for lane in LANES
        }


def test_the_sample_day_is_published_and_reconciles(settings: Settings) -> None:
    """What the totals say is what lies in the log, each type in its lane; the same run again is the same messages."""
    told: list[str] = []
    totals = publish_sample(settings, "r1", told.append)
    found = in_the_log(settings)
    messages = [message for of_lane in found.values() for message in of_lane]
    assert totals.is_reconciled
    assert (totals.read, len(told)) == (507, len(totals.sources))
    assert totals.awaited == len(messages) == len({message.message_id for message in messages}) == 516
    assert all(set(row) == set(SampleTotals.HEADINGS) for row in totals.rows())
    assert {message.type for message in found["urgent"]} == {
        "critical_value", "queue_called", "surgery_progress", "infusion_ending", "blood_ready", "adverse_event",
    }  # fmt: skip
    assert {message.type for message in found["bulk"]} == {"follow_up", "prenatal_visit", "checkup_report"}
    assert Counter(message.app_id for message in messages)["archive"] == 1
    assert not any("\ufffd" in text for message in messages for text in message.personalisation.values())
    again = publish_sample(settings, "r1", told.append)
    assert again.message_ids == totals.message_ids


def run_publish(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The real command with `--format json`: exit code and what it printed."""
    command = [sys.executable, "-m", "console.cli.main", "publish", *arguments, "--format", "json"]
    done = subprocess.run(
        command, check=False, env=environment_for(settings), capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_single_message_is_published_with_the_registered_key(settings: Settings) -> None:
    """The command prints the id under which the record lies in its type's lane."""
    code, told = run_publish(
        settings, "message", "--app", "lis", "--type", "critical_value", "--to", "staff_id=S001",
        "--param", "ward=心内科病房", "--param", "bed=07", "--param", "item=血清钾", "--param", "value=7.1",
    )  # fmt: skip
    (message,) = in_the_log(settings)["urgent"]
    assert code == 0
    assert told["message_id"] == message.message_id
    assert message.personalisation["ward"] == "心内科病房"


@pytest.mark.skipif("MEDPOST_TEST_SAMPLES" not in os.environ, reason="MEDPOST_TEST_SAMPLES names no folder")
def test_files_from_outside_are_all_accounted_for(settings: Settings) -> None:
    """Every outside HL7 file: no crash, no replacement character in the log, totals that reconcile with the log."""
    folder = Path(os.environ["MEDPOST_TEST_SAMPLES"]) / "hl7"
    code, told = run_publish(settings, "hl7", str(folder), "--run-id", "r1")
    totals = told["totals"]
    messages = [message for of_lane in in_the_log(settings).values() for message in of_lane]
    assert code == 1
    assert totals["reconciled"]
    assert totals["unacknowledged"] == 0
    assert totals["published"] == len({message.message_id for message in messages}) > 0
    assert totals["read"] >= 897
    assert len(told["refused"]) == totals["refused"]
    assert all(row["source"] and row["number"] and row["reason"] and row["remedy"] for row in told["refused"])
    assert not any("\ufffd" in MESSAGE.encode(message).decode("utf-8", "ignore") for message in messages)

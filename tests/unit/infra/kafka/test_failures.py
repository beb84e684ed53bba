"""Whose fault a refused record is."""

import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from infra.kafka.failures import failure_of


def test_a_missing_topic_is_not_the_records_fault() -> None:
    """It stops the worker instead of filling the dead letters."""
    assert not failure_of("out", KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)).is_permanent


@pytest.mark.parametrize("definition", [r"ROOM_WAIT_S\b.* = [0-9.]+", r"Headers\b.* = list\["])
def test_what_is_said_here_is_said_nowhere_else(definition: str) -> None:
    """How long is waited for room, and what a record's headers are: one definition in the whole house."""
    house = Path(__file__).parents[4]
    found = [
        path.relative_to(house).as_posix()
        for room in ("infra", "producers", "streams", "sinks", "console")
        for path in (house / room).rglob("*.py")
        if re.search(f"^{definition}", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert found == ["infra/kafka/failures.py"]

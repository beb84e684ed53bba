"""The publisher's settings, and what it does when its queue is full."""

import pytest

from infra.kafka import PublishFailure, QueueFullError
from infra.kafka.publish import DEFAULTS, Publisher


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

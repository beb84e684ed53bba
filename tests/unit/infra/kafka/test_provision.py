"""What provisioning says when a topic is not as wanted."""

import pytest

from infra.kafka import TopicSpec, ping
from infra.kafka.provision import _complaint
from schemas.errors import UnavailableError


def test_the_complaint_names_both_counts() -> None:
    """The reader learns which topic, and which count it has and should have."""
    said = _complaint([TopicSpec("events.urgent", 4)], {"events.urgent": 12})
    assert "events.urgent has 12 partitions, not 4" in said


def test_no_broker_is_one_line_with_a_remedy() -> None:
    """Nobody listens on port 1."""
    with pytest.raises(UnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1") as away:
        ping("127.0.0.1:1", 0.1)
    assert "medpost up" in away.value.remedy

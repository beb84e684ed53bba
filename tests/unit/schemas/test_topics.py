"""Topics are values that refuse to be wrong, and an installation has all of them."""

from typing import Any

import pytest

from schemas import codec, topics
from schemas.statuses import LANES
from schemas.topics import Topic

INSTALLED = topics.installation(("sms", "webhook"))
BY_NAME = {topic.name: topic for topic in INSTALLED}


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ({"name": "Messages.urgent"}, "topic 'Messages.urgent': lower case letters, digits and dots only"),
        ({"name": "messages_urgent"}, "lower case letters, digits and dots only"),
        ({"name": "messages..urgent"}, "lower case letters, digits and dots only"),
        ({"name": ""}, "topic '': lower case"),
        ({"name": "events.urgent\n"}, "lower case"),
        ({"partitions": -1}, "topic x: partitions and retention must not be negative"),
        ({"retention_ms": -1}, "topic x: partitions and retention must not be negative"),
        ({"key": ""}, "topic x: every topic says what its key is"),
    ],
)
def test_a_bad_definition_is_refused(definition: dict[str, Any], complaint: str) -> None:
    """A topic that could not work cannot be made, and the text says why."""
    with pytest.raises(ValueError, match=complaint):
        Topic(**{"name": "x", "key": "message id", "record": "Event", **definition})


@pytest.mark.parametrize("channel", ["", "SMS", "sms.aliyun", "sms_aliyun", "sms-1", "短信"])
def test_a_bad_channel_name_is_refused(channel: str) -> None:
    """A channel's name becomes part of a topic's, so it is letters and digits."""
    with pytest.raises(ValueError, match="lower case letters and digits only"):
        topics.deliveries(channel, "urgent")


@pytest.mark.parametrize("family", [topics.messages, topics.events, topics.delays])
def test_an_unknown_lane_is_refused(family: Any) -> None:
    """There is no topic for a lane that nobody reads."""
    with pytest.raises(ValueError, match="'express' is not a valid Lane"):
        family("express")
    with pytest.raises(ValueError, match="'express' is not a valid Lane"):
        topics.deliveries("sms", "express")


def test_an_installation_has_every_topic_once() -> None:
    """Per lane, per channel and lane, and the single ones; names are unique."""
    assert len(INSTALLED) == len(BY_NAME) == 3 * 3 + 2 * 3 + 4 + 4 + 5
    assert {f"deliveries.{channel}.{lane}" for channel in ("sms", "webhook") for lane in LANES} <= set(BY_NAME)


def test_every_record_of_a_topic_can_be_decoded() -> None:
    """A topic names a released record, or says that several share it."""
    known = set(codec.released())
    assert {codec.snake(topic.record) for topic in INSTALLED if topic.record} <= known


def test_the_names_and_retentions_of_the_design() -> None:
    """The log is kept 14 days, deliveries 3, dead letters 90, the rest by key."""
    days = {name: BY_NAME[name].retention_ms // topics.DAY_MS for name in BY_NAME}
    assert days["events.urgent"] == days["messages.bulk"] == days["requests"] == days["outcomes"] == 14
    assert days["deliveries.sms.normal"] == 3
    assert days["dead"] == 90
    assert {name for name in days if not days[name]} == {
        *(f"delays.{lane}" for lane in LANES),
        *(f"config.{kind}" for kind in topics.CONFIG_KINDS),
        "config.holds",
        "recipients",
        "stats.accounts",
        "stats.backlog",
    }


def test_co_partitioned_topics_leave_their_count_to_the_installation() -> None:
    """Events, deliveries and delays never fix a number of their own."""
    own = {topic.name: topic.partitions for topic in INSTALLED if topic.name.split(".")[0] in topics.CO_PARTITIONED}
    assert len(own) == 3 + 6 + 3
    assert set(own.values()) == {0}


def test_the_broker_s_settings() -> None:
    """Deleted by age, or compacted with tombstones kept long enough; stamped by the broker."""
    assert topics.events("urgent").config == {
        "cleanup.policy": "delete",
        "retention.ms": str(14 * 86_400_000),
        "message.timestamp.type": "LogAppendTime",
    }
    assert topics.delays("bulk").config == {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(7 * 86_400_000),
        "message.timestamp.type": "LogAppendTime",
    }
    assert topics.ACCOUNTS.config == {
        "cleanup.policy": "compact",
        "delete.retention.ms": "86400000",
        "segment.ms": "600000",
        "message.timestamp.type": "LogAppendTime",
    }
    assert Topic("x", "id", "", append_time=False).config["message.timestamp.type"] == "CreateTime"


def test_a_namespace_goes_before_the_name() -> None:
    """Installations that share a broker do not share topics."""
    assert topics.DEAD.named("") == "dead"
    assert topics.DEAD.named("north") == "north.dead"

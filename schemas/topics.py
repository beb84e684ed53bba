"""Topics as values: name, key rule, partitions, retention, time stamp, record.

Everything that creates, writes or reads a topic asks here; a channel's topics derive from its name, and an unknown
lane is a ValueError. Nothing here talks to a broker. `named(namespace)` gives the name on the broker, so that many
installations (or tests) share one.
"""

import re
from typing import Final

from msgspec import Struct

from schemas.statuses import LANES, Lane

DAY_MS: Final = 86_400_000
_CHANNEL: Final = re.compile(r"[a-z0-9]+")
_NAME: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")


class Topic(Struct, frozen=True):
    """One topic. `partitions` 0 means: the co-partitioned count of the installation.

    `retention_ms` 0 means compacted, kept for ever; `record` is the class name of its values in `schemas.records`
    ("" for topics whose values several records share); `append_time` is LogAppendTime, else CreateTime. What is younger
    than `segment_ms` is not compacted yet (0: the broker's own, a week): it bounds what a start reads of such a topic.
    """

    name: str
    key: str
    record: str
    partitions: int = 0
    retention_ms: int = 14 * DAY_MS
    append_time: bool = True
    tombstone_ms: int = DAY_MS
    segment_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse a definition that could not work; raises ValueError."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"topic {self.name!r}: lower case letters, digits and dots only")
        if self.partitions < 0 or self.retention_ms < 0:
            raise ValueError(f"topic {self.name}: partitions and retention must not be negative")
        if not self.key:
            raise ValueError(f"topic {self.name}: every topic says what its key is")

    def named(self, namespace: str) -> str:
        """The name on the broker: `<namespace>.<name>`, or the bare name without a namespace."""
        return f"{namespace}.{self.name}" if namespace else self.name

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings for it."""
        compacted = self.retention_ms == 0
        return {
            "cleanup.policy": "compact" if compacted else "delete",
            **(
                {"delete.retention.ms": str(self.tombstone_ms)}
                if compacted
                else {"retention.ms": str(self.retention_ms)}
            ),
            **({"segment.ms": str(self.segment_ms)} if self.segment_ms else {}),
            "message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime",
        }


def messages(lane: Lane | str) -> Topic:
    """What systems ask for; written by producers, read by intake and replay."""
    return Topic(f"messages.{Lane(lane)}", "recipient pseudonym or hash of the reference", "Message")


def events(lane: Lane | str) -> Topic:
    """The log that the system runs on; read by settle and the trace writer."""
    return Topic(f"events.{Lane(lane)}", "message id", "Event")


def deliveries(channel: str, lane: Lane | str) -> Topic:
    """Attempts for one channel; settle to sink. Raises ValueError for a channel name outside [a-z0-9]+."""
    if not _CHANNEL.fullmatch(channel):
        raise ValueError(f"channel {channel!r}: lower case letters and digits only")
    return Topic(f"deliveries.{channel}.{Lane(lane)}", "message id", "Delivery", retention_ms=3 * DAY_MS)


def delays(lane: Lane | str) -> Topic:
    """Open messages that outlive the log; settle to settle."""
    return Topic(f"delays.{Lane(lane)}", "message id", "Delayed", retention_ms=0, tombstone_ms=7 * DAY_MS)


REQUESTS: Final = Topic("requests", "request id", "Request", partitions=1)
OUTCOMES: Final = Topic("outcomes", "app id", "Outcome")
DEAD: Final = Topic("dead", "message id or origin", "DeadLetter", retention_ms=90 * DAY_MS)
DEAD_MARKS: Final = Topic("dead.marks", "origin of the letter", "DeadMark", retention_ms=90 * DAY_MS)
CONFIG_KINDS: Final = ("apps", "types", "channels", "versions")
CONFIG: Final = {
    kind: Topic(f"config.{kind}", "the object's id", "", partitions=1, retention_ms=0) for kind in CONFIG_KINDS
}
"""The configuration registry; `versions` closes a set of changes that takes effect as a whole."""
HISTORY: Final = Topic("config.history", "kind and id", "ConfigChange", partitions=1, retention_ms=3_650 * DAY_MS)
"""Who changed what when, ten years; written before the set is closed, read by people only."""
RECIPIENTS: Final = Topic("recipients", "recipient key", "Recipient", partitions=1, retention_ms=0)
HOLDS: Final = Topic("config.holds", "scope and name", "Hold", partitions=1, retention_ms=0)
"""What is held by hand; in effect as soon as it is read, without a closing record."""
ACCOUNTS: Final = Topic(
    "stats.accounts", "account, lane and process", "AccountUse", partitions=1, retention_ms=0, segment_ms=600_000
)
BACKLOG: Final = Topic(
    "stats.backlog", "lane and partition", "Backlog", partitions=1, retention_ms=0, segment_ms=600_000
)

CO_PARTITIONED: Final = ("events", "deliveries", "delays")
"""Families whose partition count is one number, in all lanes: one message, one partition number everywhere."""


def installation(channels: tuple[str, ...]) -> list[Topic]:
    """Every topic of an installation with these channels."""
    per_lane = [topic for lane in LANES for topic in (messages(lane), events(lane), delays(lane))]
    per_channel = [deliveries(channel, lane) for channel in channels for lane in LANES]
    return [
        *per_lane,
        *per_channel,
        REQUESTS,
        OUTCOMES,
        DEAD,
        DEAD_MARKS,
        *CONFIG.values(),
        HISTORY,
        HOLDS,
        RECIPIENTS,
        ACCOUNTS,
        BACKLOG,
    ]

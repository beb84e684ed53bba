"""The only door to librdkafka: publishing with every report checked, provisioning of topics, reading without a group.

Used by every pillar and by the tests. Consuming in a group is not here: that is `infra.hub`.
"""

from infra.kafka.batch import Batch, HeldBatch
from infra.kafka.failures import ROOM_WAIT_S, Headers, OnReport, PublishFailure, QueueFullError
from infra.kafka.provision import Provisioned, TopicSpec, ping, provision
from infra.kafka.publish import Publisher
from infra.kafka.read import LogReader, LogRecord
from infra.kafka.single import publish_one

__all__ = [
    "ROOM_WAIT_S",
    "Batch",
    "Headers",
    "HeldBatch",
    "LogReader",
    "LogRecord",
    "OnReport",
    "Provisioned",
    "PublishFailure",
    "Publisher",
    "QueueFullError",
    "TopicSpec",
    "ping",
    "provision",
    "publish_one",
]

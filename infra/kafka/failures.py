"""What can go wrong with a published record, in our words. Called by the publisher and its batches."""

from collections.abc import Callable
from typing import Final, TypeAlias

from confluent_kafka import KafkaError
from msgspec import Struct

from schemas.errors import Reason, UnavailableError

Headers: TypeAlias = list[tuple[str, bytes]]
Values: TypeAlias = dict[str, bytes | None]
"""`value` and `key` of one record among many."""

PERMANENT_CODES: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD, KafkaError.TOPIC_EXCEPTION}
)
"""Failures that are the record's own fault. A missing topic or right is the installation's: the worker stops."""

ROOM_WAIT_S: Final = 0.01
"""Between two looks at a full queue; librdkafka has no event for "there is room"."""


class QueueFullError(UnavailableError):
    """The bounded queue of the producer is full; nothing was queued: push back, or wait."""


class PublishFailure(Struct, frozen=True):
    """What the broker (or librdkafka) refused: the topic, its error code and name, and whether a retry is vain."""

    topic: str
    code: int
    name: str
    is_permanent: bool
    text: str

    @property
    def reason(self) -> Reason:
        """The word for a dead letter."""
        return Reason.TOO_LARGE if self.code == KafkaError.MSG_SIZE_TOO_LARGE else Reason.PARAM_INVALID


OnReport: TypeAlias = Callable[[PublishFailure | None], None]
"""Called in the reports' thread: None when the record is acknowledged."""


def failure_of(topic: str, error: KafkaError) -> PublishFailure:
    """A library error in our words."""
    code = error.code()
    return PublishFailure(topic, code, error.name(), code in PERMANENT_CODES, error.str())

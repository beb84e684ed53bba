"""Where a chunk ends."""

from collections.abc import Sequence

from infra.hub.chunk import TP
from infra.hub.consumer import _cut, _message_of
from infra.hub.rules import Limits
from infra.kafka import LogRecord


def records(*sizes: int) -> Sequence[LogRecord]:
    """Records with values of these sizes."""
    return [LogRecord("in", 0, at, 1_500, None, bytes(size), ()) for at, size in enumerate(sizes)]


def test_a_chunk_ends_after_max_records_or_at_the_last() -> None:
    """Two of five; and the last one alone."""
    limits = Limits(max_records=2)
    assert _cut(records(1, 1, 1, 1, 1), 0, limits) == 2
    assert _cut(records(1, 1, 1, 1, 1), 4, limits) == 5


def test_a_chunk_ends_before_it_grows_over_max_bytes() -> None:
    """Sizes 4 + 4 fit into 10, a third does not."""
    assert _cut(records(4, 4, 4, 4), 0, Limits(max_records=100, max_bytes=10)) == 2


def test_a_record_larger_than_max_bytes_comes_alone() -> None:
    """It cannot be cut, and must not be left."""
    limits = Limits(max_records=100, max_bytes=10)
    assert _cut(records(50, 1), 0, limits) == 1
    assert _cut(records(1, 50), 0, limits) == 1


def test_the_envelope_carries_place_and_time_of_the_last_record() -> None:
    """Seconds for Faust, milliseconds in Kafka."""
    message = _message_of(TP("in", 3), records(1, 1)[-1], 7)
    assert (message.topic, message.partition, message.offset, message.timestamp) == ("in", 3, 1, 1.5)
    assert message.generation_id == 7

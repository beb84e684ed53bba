"""A chunk knows whether it is still ours."""

from infra.hub.chunk import TP, Chunk
from infra.hub.watermark import Watermark
from infra.kafka import LogRecord


class Owner:
    """Who delivered the chunk."""

    def __init__(self) -> None:
        self.watermark = Watermark()
        self.is_flowing = True

    @property
    def epoch(self) -> object:
        """The current assignment."""
        return self.watermark.epoch


def chunk_of(owner: Owner) -> Chunk:
    """Two records of in/3."""
    records = [LogRecord("in", 3, offset, 0, None, b"", ()) for offset in (7, 8)]
    return Chunk(records, owner.watermark.open(TP("in", 3), 9, 1, 0.0), owner)


def test_is_neither_stale_nor_given_up_while_ours() -> None:
    """Fresh from the pump."""
    chunk = chunk_of(Owner())
    assert not chunk.is_stale
    assert not chunk.is_given_up
    assert chunk.tp == TP("in", 3)


def test_is_stale_but_not_given_up_while_the_flow_stops() -> None:
    """During a revocation begun calls may be finished, new ones not begun."""
    owner = Owner()
    chunk = chunk_of(owner)
    owner.is_flowing = False
    assert chunk.is_stale
    assert not chunk.is_given_up


def test_is_given_up_when_the_assignment_is_over() -> None:
    """Even when the flow is on again."""
    owner = Owner()
    chunk = chunk_of(owner)
    owner.watermark.reset()
    assert chunk.is_stale
    assert chunk.is_given_up


def test_one_record_alone_shares_the_fate_of_its_chunk() -> None:
    """Taking a chunk apart keeps ticket and owner."""
    owner = Owner()
    chunk = chunk_of(owner)
    alone = chunk.alone(chunk[1])
    assert [record.offset for record in alone] == [8]
    assert alone.ticket is chunk.ticket
    owner.watermark.reset()
    assert alone.is_given_up

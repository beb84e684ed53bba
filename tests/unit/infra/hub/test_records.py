"""Our unpacking against aiokafka's own, on the same bytes: the same records, and the same place to go on."""

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from infra.hub.records import Fetched, FetchedRecords, HubRecord

TP = TopicPartition("in", 3)
ABORTED = [(7, 4)]
"""Producer 7 aborted what it wrote from offset 4 on."""
CONTROL_BIT, TRANSACTIONAL_BIT, ATTRIBUTES_AT, CRC_AT = 0x20, 0x10, 22, 17


def batch(first: int, *values: bytes | None, producer: int = -1, gzip: bool = False) -> bytearray:
    """A batch of records that begins at an offset."""
    builder = DefaultRecordBatchBuilder(2, 1 if gzip else 0, int(producer >= 0), producer, 0, 0, 1 << 20)
    for at, value in enumerate(values):
        builder.append(at, 1_000 + at, b"k%d" % at, value, [("h", b"%d" % at)] if at % 2 else [])
    built = builder.build()
    built[0:8] = first.to_bytes(8, "big")
    return built


def marker(offset: int, producer: int, *, is_abort: bool) -> bytearray:
    """A control batch: its key says version 0 and abort (0) or commit (1)."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, producer, 0, 0, 1 << 20)
    builder.append(0, 1_000, b"\x00\x00\x00\x00" if is_abort else b"\x00\x00\x00\x01", b"", [])
    built = builder.build()
    built[0:8] = offset.to_bytes(8, "big")
    built[ATTRIBUTES_AT] |= CONTROL_BIT
    return built


def theirs(raw: bytes, first: int, isolation: int, *, check_crcs: bool = False) -> PartitionRecords:
    """Aiokafka's own unpacking."""
    return PartitionRecords(TP, MemoryRecords(raw), list(ABORTED), first, None, None, check_crcs, isolation)


def as_tuple(record: object) -> tuple[object, ...]:
    """The fields both kinds of record have."""
    return tuple(getattr(record, name) for name in HubRecord.__struct_fields__)


LOG = bytes(
    batch(0, b"a", b"b", None)
    + batch(4, b"x", b"y", producer=7)  # offset 3 was compacted away
    + batch(6, b"c", producer=8)
    + marker(7, 7, is_abort=True)
    + marker(8, 8, is_abort=False)
    + batch(9, b"d", b"e", producer=7, gzip=True)
    + marker(11, 7, is_abort=False)
)


@pytest.mark.parametrize("isolation", [READ_COMMITTED, READ_UNCOMMITTED])
@pytest.mark.parametrize("first", [0, 1, 2, 5, 10])
def test_unpacks_what_aiokafka_unpacks(first: int, isolation: int) -> None:
    """Gaps, tombstones, headers, markers, aborted records, a compressed batch entered amid."""
    ours, same = FetchedRecords(theirs(LOG, first, isolation)), theirs(LOG, first, isolation)
    assert [as_tuple(record) for record in ours] == [as_tuple(record) for record in same]
    assert ours.next_fetch_offset == same.next_fetch_offset == 12


def test_aborted_records_are_left_out_and_committed_ones_not() -> None:
    """The comparison above is not of two empty lists."""
    values = [record.value for record in FetchedRecords(theirs(LOG, 0, READ_COMMITTED))]
    assert values == [b"a", b"b", None, b"c", b"d", b"e"]


def test_a_damaged_batch_is_never_delivered() -> None:
    """What comes before it is, and the partition goes on at it; alone it is an error."""
    damaged = batch(2, b"c")
    damaged[CRC_AT] ^= 0xFF
    ours = FetchedRecords(theirs(bytes(batch(0, b"a", b"b") + damaged), 0, READ_COMMITTED, check_crcs=True))
    assert [record.value for record in ours] == [b"a", b"b"]
    assert ours.next_fetch_offset == 2
    alone = FetchedRecords(theirs(bytes(damaged + batch(3, b"d")), 2, READ_COMMITTED, check_crcs=True))
    with pytest.raises(CorruptRecordException):
        list(alone)
    assert list(alone) == [], "what follows is not passed for it: all is fetched again"
    assert alone.next_fetch_offset == 2


def test_a_fetchers_results_are_unpacked_our_way_and_errors_kept() -> None:
    """As they are put in."""
    fetched = Fetched()
    parts = theirs(LOG, 0, READ_COMMITTED)
    fetched[TP] = FetchResult(TP, assignment=None, partition_records=parts, backoff=0.1)
    assert isinstance(fetched[TP]._partition_records, FetchedRecords)
    error = object()
    fetched[TP] = error
    assert fetched[TP] is error

"""Our murmur2 is the Java client's, so that foreign producers and ours agree on every partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitioner import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, Apache Kafka 4
JAVA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), JAVA.items())
def test_murmur2_is_java_s(key: str, expected: int) -> None:
    """The values of Kafka's own test, as signed 32-bit integers."""
    assert int.from_bytes(murmur2(key.encode()).to_bytes(4, "big"), "big", signed=True) == expected


@pytest.mark.parametrize("length", range(9))
def test_every_tail_length_is_hashed_whole(length: int) -> None:
    """The last byte counts, whatever is left over after the last four."""
    assert murmur2(bytes(length) + b"\x01") != murmur2(bytes(length) + b"\x02")


@pytest.mark.parametrize(("key", "expected"), [("21", 0), ("foobar", 6), ("abc", 3)])
def test_a_negative_hash_loses_its_sign_bit(key: str, expected: int) -> None:
    """Java's toPositive: the sign bit is masked, the value is not negated."""
    assert partition_of(key.encode(), 12) == (JAVA[key] & 0x7FFFFFFF) % 12 == expected


@given(key=st.binary(max_size=40), partitions=st.integers(1, 512))
def test_every_key_has_a_partition(key: bytes, partitions: int) -> None:
    """The partition exists."""
    assert 0 <= partition_of(key, partitions) < partitions

"""Kafka's default partitioner for keyed records: murmur2, as the Java client computes it.

Called by everything that writes or looks for a record of a co-partitioned topic; foreign producers must agree with
it. Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive, Apache Kafka 4.
"""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit murmur2 of the bytes, unsigned."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a keyed record in a topic of that many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions

# Only what infra.hub uses; written for aiokafka 0.14.
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.structs import OffsetAndMetadata as OffsetAndMetadata
from aiokafka.structs import OffsetAndTimestamp, TopicPartition
from aiokafka.structs import TopicPartition as TopicPartition

__version__: str

class AIOKafkaConsumer:
    _coordinator: Any
    _fetcher: Any
    _subscription: Any
    _fetch_max_wait_ms: int
    _isolation_level: str
    def __init__(
        self,
        *topics: str,
        bootstrap_servers: str = ...,
        group_id: str | None = ...,
        enable_auto_commit: bool = ...,
        auto_offset_reset: str = ...,
        isolation_level: str = ...,
        fetch_max_wait_ms: int = ...,
    ) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    async def position(self, partition: TopicPartition) -> int: ...
    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = ...) -> None: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = ..., max_records: int | None = ...
    ) -> dict[TopicPartition, list[Any]]: ...
    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]: ...

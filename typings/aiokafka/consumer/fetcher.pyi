from typing import Any

READ_UNCOMMITTED: int
READ_COMMITTED: int

class FetchResult:
    _partition_records: Any
    def __init__(self, tp: Any, *, assignment: Any, partition_records: Any, backoff: float) -> None: ...

class PartitionRecords:
    next_fetch_offset: int
    def __init__(
        self,
        tp: Any,
        records: Any,
        aborted_transactions: Any,
        fetch_offset: int,
        key_deserializer: Any,
        value_deserializer: Any,
        check_crcs: bool,
        isolation_level: int,
    ) -> None: ...
    def __iter__(self) -> Any: ...

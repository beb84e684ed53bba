"""What a Kafka record is to us, whichever client read it: the shape that chunks, readers and dead letters share.

An interface only; nothing here makes or reads one.
"""

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """One Kafka record; `timestamp` in UTC milliseconds."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - a field
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102

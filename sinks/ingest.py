"""Writes a batch of encoded events into the store: rows first, then the mark that their days are dirty.

Called by the tracer, in a thread. Finds the values that no reader can read and names them instead of keeping the
others waiting. Never commits an offset and never waits: a store that is away is the caller's to wait for. Writing a
batch twice is harmless, because rows collapse by the identity of their event.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Final, Protocol

from infra.clickhouse import RefusedRowsError
from schemas import codec
from schemas.codec import EVENT
from schemas.errors import Permanent
from sinks.container import Container
from sinks.days import Days

TABLE: Final = "events_in"
COLUMNS: Final = (
    "head",
    "message_id",
    "stage",
    "channel",
    "attempt",
    "replay_id",
    "status",
    "at",
    "accepted_at",
    "app_id",
    "type",
    "lane",
    "reason",
    "provider",
    "provider_code",
    "provider_message_id",
    "possible_duplicate",
    "latency_ms",
    "lateness_ms",
    "recipient_key",
    "template_version",
    "config_version",
    "worker",
    "detail",
    "until",
    "attempts",
    "text_hash",
    "address_hash",
)
"""Fields of the event that the store keeps, and the head; `plan` and `claim_by` are not copied."""


class Rows(Protocol):
    """What is needed of `infra.clickhouse.Store`."""

    def insert_avro(self, table: str, columns: Sequence[str], container: bytes) -> None: ...  # noqa: D102 - see Store


class Ingest:
    """Writes batches through one store; made once, used by one thread at a time. `mark` notes days as dirty."""

    def __init__(self, store: Rows, mark: Callable[[Iterable[date]], None]) -> None:
        self._store = store
        self._mark = mark
        self._container = Container("event")
        self._days = Days()

    def knows(self, value: bytes | None) -> bool:
        """Whether the value begins as an event of a released schema does."""
        return value is not None and self._container.knows(value[: codec.HEAD_BYTES])

    def write(self, values: Sequence[bytes]) -> list[int]:
        """Store the values and mark their days; returns the positions of those that cannot be read.

        Every value must be `known`. Raises UnavailableError; then any part of the batch may have been stored, and the
        whole is to be written again.
        """
        bad: list[int] = []
        days: set[date] = set()
        for head, positions in _by_head(values):
            refused = self._insert(head, positions, values)
            bad += refused
            days |= self._days.of(head, _without(refused, positions, values))
        if days:
            self._mark(days)
        return sorted(bad)

    def _insert(self, head: bytes, positions: Sequence[int], values: Sequence[bytes]) -> list[int]:
        """Insert the values at these positions; returns the positions that were refused."""
        if self._is_taken(head, positions, values):
            return []
        bad = {at for at in positions if not _is_readable(values[at])}
        good = [at for at in positions if at not in bad]
        return [*bad, *bisect(good, lambda part: self._is_taken(head, part, values))]

    def _is_taken(self, head: bytes, positions: Sequence[int], values: Sequence[bytes]) -> bool:
        chosen = values if len(positions) == len(values) else [values[at] for at in positions]
        try:
            self._store.insert_avro(TABLE, COLUMNS, self._container.join(head, chosen))
        except RefusedRowsError:
            return False
        return True


def _by_head(values: Sequence[bytes]) -> Iterator[tuple[bytes, Sequence[int]]]:
    """Positions by the first ten bytes, because a container holds values of one schema; nearly always there is one."""
    heads = {value[: codec.HEAD_BYTES] for value in values}
    for head in heads:
        yield (
            head,
            (
                range(len(values))
                if len(heads) == 1
                else [at for at, value in enumerate(values) if value.startswith(head)]
            ),
        )


def _without(refused: list[int], positions: Sequence[int], values: Sequence[bytes]) -> Sequence[bytes]:
    """The values at these positions that were not refused."""
    if not refused and len(positions) == len(values):
        return values
    missing = set(refused)
    return [values[at] for at in positions if at not in missing]


def bisect(positions: list[int], is_taken: Callable[[list[int]], bool]) -> list[int]:
    """The positions that are refused even alone; everything else has been taken when this returns."""
    if not positions or is_taken(positions):
        return []
    if len(positions) == 1:
        return positions
    half = len(positions) // 2
    return bisect(positions[:half], is_taken) + bisect(positions[half:], is_taken)


def _is_readable(value: bytes) -> bool:
    try:
        EVENT.decode(value)
    except Permanent:
        return False
    return True

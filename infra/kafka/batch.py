"""Records whose delivery reports are counted together: the way stream workers publish.

A `Batch` sends at once, a `HeldBatch` when it is released. Neither retries nor drops anything: what the broker refused
is told to whoever waits.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol, TypeAlias

from confluent_kafka import KafkaError, Message

from infra.kafka.failures import ROOM_WAIT_S, Headers, PublishFailure, QueueFullError, Values, failure_of
from schemas.errors import Permanent, UnavailableError

Held: TypeAlias = tuple[str, bytes | None, bytes | None, Headers | None, int]
"""Topic, value, key, headers, partition of a record that waits for its release."""


class Producing(Protocol):
    """Where a batch sends its records: `Publisher`."""

    def check_size(self, topic: str, value: bytes | None, key: bytes | None) -> None: ...  # noqa: D102 - see there

    def produce(  # noqa: D102
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        report: Callable[[KafkaError | None, Message], None],
        headers: Headers | None,
    ) -> None: ...

    def has_room(self, count: int) -> bool: ...  # noqa: D102

    def produce_together(  # noqa: D102
        self, topic: str, partition: int, records: list[Values], report: Callable[[KafkaError | None, Message], None]
    ) -> list[PublishFailure]: ...


class Batch:
    """Records whose delivery reports are counted together.

    Only the loop's thread sends; only the reports' thread counts reports. `wait` arms the future first and compares
    the counts after, and the reporting side counts first and looks for the future after, so no lock is needed.
    """

    def __init__(self, publisher: Producing) -> None:
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._sent = 0
        self._reported = 0
        self._failures: list[PublishFailure] = []
        self._all_in: asyncio.Future[None] | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
    ) -> None:
        """Queue one record; raises UnavailableError when the queue is full, Permanent(too_large)."""
        self._publisher.produce(topic, value, key, partition, self._report, headers)
        self._sent += 1

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failures.append(failure_of(message.topic() or "", error))
        self._reported += 1
        if self._all_in is not None and self._reported >= self._sent:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._all_in is not None and not self._all_in.done():
            self._all_in.set_result(None)

    async def wait(self) -> list[PublishFailure]:
        """Return when every delivery report is in: the failures, empty when all is acknowledged."""
        while self._reported < self._sent:
            if self._all_in is None or self._all_in.done():
                self._all_in = self._loop.create_future()
            if self._reported < self._sent:
                await asyncio.shield(self._all_in)
        return self._failures


class HeldBatch(Batch):
    """A batch that keeps its records until it is released; sends after that leave at once.

    So a handler that fails half-way has sent nothing, and its chunk can be taken apart without sending twice.
    """

    def __init__(self, publisher: Producing) -> None:
        super().__init__(publisher)
        self._held: list[Held] = []
        self._is_released = False
        self.is_discarded = False

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
    ) -> None:
        """Keep one record until `release`; raises Permanent(too_large) at once."""
        if self._is_released:
            super().send(topic, value, key, headers, partition)
            return
        self._publisher.check_size(topic, value, key)
        self._held.append((topic, value, key, headers, partition))

    async def release(self) -> None:
        """Let the held records go, waiting while the queue is full (the broker stalls)."""
        self._is_released = True
        held, self._held = self._held, []
        if self._publisher.has_room(len(held)) and not any(headers for _, _, _, headers, _ in held):
            self._release_together(held)
            return
        for record in held:
            while not self._is_queued(*record):  # noqa: ASYNC110 - see ROOM_WAIT_S
                await asyncio.sleep(ROOM_WAIT_S)

    def _release_together(self, held: list[Held]) -> None:
        """One call per topic and partition argument; order is kept within each."""
        alike: dict[tuple[str, int], list[Values]] = {}
        for topic, value, key, _, partition in held:
            alike.setdefault((topic, partition), []).append({"value": value, "key": key})
        for (topic, partition), records in alike.items():
            refused = self._publisher.produce_together(topic, partition, records, self._report)
            self._sent += len(records) - len(refused)
            self._failures += refused

    def _is_queued(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers | None, partition: int
    ) -> bool:
        try:
            super().send(topic, value, key, headers, partition)
        except QueueFullError:
            return False
        except Permanent as refused:
            self._failures.append(PublishFailure(topic, -1, refused.reason, is_permanent=True, text=refused.detail))
        return True

    def discard(self) -> None:
        """Forget the held records; `wait` then raises."""
        self._held.clear()
        self.is_discarded = not self._is_released

    async def wait(self) -> list[PublishFailure]:
        """As `Batch.wait`, releasing first; raises UnavailableError when the batch was discarded."""
        if self.is_discarded:
            raise UnavailableError("the partition was given up before this output left")
        if not self._is_released:
            await self.release()
        return await super().wait()

"""The trace writer: copies the log of events into the store, and keeps the figures of its days up to date.

Started as `medpost run trace`, as often as wanted. A chunk is finished when its rows are stored and their days marked;
killed before that, the same events come again and collapse. While the store is away it waits and loses nothing. It
never changes an event, and never decides anything.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from infra import migrate, rollup
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.dead import DeadOffice
from infra.kafka import Batch
from infra.settings import Settings
from infra.telemetry import DEAD_LETTERS
from infra.worker import TP, Chunk, Record, Worker
from schemas import topics
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.statuses import LANES
from sinks.gather import Bad, Gather
from sinks.ingest import Ingest

ROLE: Final = "trace"
MAX_RECORDS: Final = 10_000
MAX_CHUNK_BYTES: Final = 2_000_000
WINDOW: Final = 2
"""Unfinished chunks a partition: with the two limits above, what an outage of the store makes us hold."""
REBUILD_S: Final = 60.0
MIGRATE_RETRY_S: Final = 1.0

T = TypeVar("T")
log = structlog.get_logger("trace")


class Tracer:
    """Agents over `events.<lane>` of all lanes, one gatherer, one rebuilder."""

    def __init__(self, settings: Settings, worker: Worker) -> None:
        dsn = settings_module.store_endpoint(settings)
        self._worker = worker
        self._store = Store(dsn)
        self._rollup_store = Store(dsn)
        self._ingest = Ingest(self._store, partial(rollup.mark, self._store))
        self._gather = Gather(self._write)
        ring = load_keyring(settings).ring("dead")
        self._dead_topic = topics.DEAD.named(settings.namespace)
        self._dead = DeadOffice(self._dead_topic, ring, SystemClock(), worker.name, worker.publisher.limit_bytes)
        self._duty = TP(topics.events(LANES[0]).named(settings.namespace), 0)
        self._owned: frozenset[TP] = frozenset()
        self._is_migrated = False

    def register(self, settings: Settings) -> None:
        """Hang everything on the worker."""
        for lane in LANES:
            topic = topics.events(lane).named(settings.namespace)
            self._worker.agent(topic, self.trace, max_records=MAX_RECORDS, window=WINDOW, max_bytes=MAX_CHUNK_BYTES)
        self._worker.on_assigned(self._take_over)
        self._worker.on_revoked(self._give_up)
        self._worker.on_started(self._start)
        self._worker.every(REBUILD_S, self._rebuild)
        self._worker.ready_when(lambda: self._is_migrated and not self._gather.is_away, "the store")

    # -- events to rows

    async def trace(self, chunk: Chunk, _out: Batch) -> Coroutine[Any, Any, None]:
        """Hand a chunk to the gatherer; what is returned is done when its rows are stored."""
        values = [record.value for record in chunk if record.value is not None and self._ingest.knows(record.value)]
        if len(values) < len(chunk):
            raise Permanent(Reason.DECODE_ERROR, "not an event of any released schema")
        return self._stored(chunk, self._gather.add(values))

    async def _stored(self, chunk: Chunk, stored: asyncio.Future[Bad]) -> None:
        bad = await stored
        if bad:
            await self._bury([chunk[at] for at in bad])

    async def _bury(self, records: list[Record]) -> None:
        """Dead letters for records that only the store could tell to be unreadable."""
        batch = self._worker.publisher.batch()
        for record in records:
            log.error("dead letter", topic=record.topic, partition=record.partition, offset=record.offset)
            DEAD_LETTERS.labels(Reason.DECODE_ERROR).inc()
            self._dead.bury(batch, record, Reason.DECODE_ERROR, "event: body does not follow its schema")
        failures = await batch.wait()
        if failures:
            raise UnavailableError(f"dead letter refused: {failures[0].name}")

    async def _write(self, values: list[bytes]) -> Bad:
        return await in_thread(partial(self._ingest.write, values))

    # -- start, duty, figures

    async def _start(self) -> None:
        self._worker.task(self._serve())

    async def _serve(self) -> None:
        await self._migrate()
        await self._gather.run()

    async def _migrate(self) -> None:
        """Bring the tables up to date, as soon as the store is there."""
        while not self._is_migrated:
            try:
                applied = await in_thread(partial(migrate.apply, self._store))
            except UnavailableError as away:
                log.warning("waiting for the store", detail=away.detail, remedy=away.remedy)
                await asyncio.sleep(MIGRATE_RETRY_S)
            else:
                self._is_migrated = True
                log.info("store is ready", applied=[migration.title for migration in applied])

    def _take_over(self, owned: frozenset[TP]) -> None:
        self._owned = owned

    def _give_up(self, _owned: frozenset[TP]) -> None:
        self._owned = frozenset()

    def _is_on_duty(self) -> bool:
        """One trace writer rebuilds: the owner of the first partition of the urgent events."""
        return self._duty in self._owned and self._worker.fence.is_fresh()

    async def _rebuild(self) -> None:
        if not self._is_migrated or not self._is_on_duty():
            return
        try:
            days = await in_thread(partial(rollup.rebuild, self._rollup_store, self._worker.name, self._is_on_duty))
        except UnavailableError as away:
            log.warning("figures are not rebuilt", detail=away.detail)
        else:
            log.debug("figures rebuilt", days=[day.isoformat() for day in days])


async def in_thread(call: Callable[[], T]) -> T:
    """Await a blocking call in a thread of its own, which a stopping process does not wait for."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from here on, giving up waiting does not touch the thread

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as problem:  # noqa: BLE001 - carried over to whoever awaits
            outcome.set_exception(problem)

    threading.Thread(target=work, daemon=True).start()
    return await asyncio.wrap_future(outcome)


def run(settings: Settings) -> int:
    """Serve until SIGTERM (0) or a failure (70). Raises UnavailableError when no server is configured."""
    worker = Worker(settings, ROLE, "")
    Tracer(settings, worker).register(settings)
    return worker.run()

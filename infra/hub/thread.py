"""Faust's consumer thread with our fetch settings, commits that never crash the app, a fence and a watchdog.

Runs in a thread and loop of its own, so that heartbeats go on while agents compute. Owns the aiokafka consumer.
"""

# ruff: noqa: SLF001, ASYNC109 - aiokafka has no public door to coordinator and fetcher (pinned); Faust's signatures
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata
from faust import types
from faust.transport.drivers import aiokafka as driver

from infra.hub.fence import Fence
from infra.hub.records import unpack_our_way
from infra.hub.rules import EXIT_COORDINATOR, HubApp

ALIVE_CODES: Final = frozenset({0, 27})
"""Answers to a living member: none, and REBALANCE_IN_PROGRESS."""
DEAD_CODES: Final = frozenset({UnknownMemberIdError.errno, IllegalGenerationError.errno})
LOOK_S: Final = 1.0
FATAL_ERRORS: Final = 10
FATAL_WITHIN_S: Final = 60.0

log = structlog.get_logger("hub")

Send = Callable[[Any], Awaitable[Any]]


def fenced(send: Send, fence: Fence, monotonic_s: Callable[[], float] = time.monotonic) -> Send:
    """The coordinator's `_send_req`, telling the fence what heartbeats and joins were answered, and when sent."""

    async def send_and_tell(request: Any) -> Any:
        sent_s = monotonic_s()
        answer = await send(request)
        if isinstance(request, HeartbeatRequest | SyncGroupRequest):
            if answer.error_code in ALIVE_CODES:
                fence.answered(sent_s)
            elif answer.error_code in DEAD_CODES:
                fence.lost()
        return answer

    return send_and_tell


class HubThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to the broker for the group."""

    @property
    def rules(self) -> Any:
        """The worker's rules, from the app."""
        return cast("HubApp", self.app).rules

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = (
            self.rules.fetch_wait_ms
        )  # Faust's 1,500 ms delays a drained partition's next fetch
        consumer._isolation_level = "read_committed"  # Faust's default delivers aborted records
        return consumer

    async def on_start(self) -> None:
        """Start the watchdog first: tasks and timers of the app start too late for an error at the first join."""
        threading.Thread(target=self._watch, name="hub-watchdog", daemon=True).start()
        await super().on_start()
        unpack_our_way(self._ensure_consumer())
        coordinator = self._ensure_consumer()._coordinator
        coordinator._send_req = fenced(coordinator._send_req, self.rules.fence)  # nobody has joined yet: no topics

    # -- fetching

    async def fetch(self, wanted: set[types.TP], timeout_s: float) -> tuple[Mapping[Any, Any], object | None]:
        """Records of the wanted partitions, and the assignment that they belong to."""
        found = await self.getmany(wanted, timeout_s)
        return cast("tuple[Mapping[Any, Any], object | None]", found or ({}, None))

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[types.TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        if consumer._subscription.subscription is None:
            return {}, None
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        subscription = consumer._subscription.subscription  # the same tick as the fetch: names their assignment
        return records, (subscription.assignment if subscription else None)

    async def unread(self, records: Mapping[Any, Any], assignment: object | None) -> None:
        """Go back to the first of records that could not be delivered, if their assignment is still the current one.

        A new assignment starts from what is committed by itself.
        """
        await self.call_thread(self._unread, records, assignment)

    async def _unread(self, records: Mapping[Any, Any], assignment: Any) -> None:
        consumer = self._ensure_consumer()
        if not self._is_current(assignment):
            return
        for tp, found in records.items():
            position = assignment.state_value(tp).position if tp in assignment.tps else None
            if found and position is not None and position > found[0].offset:  # never forward: a seek may have come
                consumer._fetcher.seek_to(tp, found[0].offset)

    def _is_current(self, assignment: Any) -> bool:
        subscription = self._ensure_consumer()._subscription.subscription
        return subscription is not None and assignment is not None and subscription.assignment is assignment

    async def seek_to_committed(self) -> Mapping[types.TP, int]:
        """Go to what is committed, and to the beginning where nothing is; returns what is committed.

        aiokafka's own method stays where it is when nothing, or 0, is committed: records delivered before, and given
        up, would be passed over.
        """
        return cast("Mapping[types.TP, int]", await self.call_thread(self._seek_to_committed))

    async def _seek_to_committed(self) -> Mapping[Any, int]:
        consumer = self._ensure_consumer()
        assignment = consumer._subscription.subscription.assignment
        committed = await consumer._coordinator.fetch_committed_offsets(list(assignment.tps))
        known = {tp: found.offset for tp, found in committed.items() if found.offset >= 0}
        starts = await consumer.beginning_offsets([tp for tp in assignment.tps if tp not in known])
        if self._is_current(assignment):
            for tp, offset in {**starts, **known}.items():
                consumer._fetcher.seek_to(tp, offset)
        return known

    # -- committing

    async def _commit(self, offsets: Mapping[types.TP, int]) -> bool:
        """Commit what is still ours; a failure is logged and tried again with the next interval."""
        mine = self.assignment()
        wanted = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items() if tp in mine
        }
        if not wanted:
            return False
        try:
            await self._ensure_consumer().commit(wanted)
        except Exception as problem:  # noqa: BLE001 - Faust would crash the app here
            log.warning("commit failed", problem=type(problem).__name__)
            return False
        return True

    # -- the watchdog

    def _watch(self) -> None:
        """Consume errors that aiokafka's coordinator parks until somebody asks, which Faust never does.

        Until then it neither joins nor heartbeats: a zombie. Ten errors a minute, or a dead coordinator, end us.
        """
        seen: deque[float] = deque(maxlen=FATAL_ERRORS)
        while not self.app.should_stop:
            time.sleep(LOOK_S)
            coordinator = getattr(self._consumer, "_coordinator", None)
            if coordinator is None or self.app.should_stop:
                continue
            if _is_stuck(coordinator):
                self.thread_loop.call_soon_threadsafe(self._consume_error, coordinator, seen)
            elif _is_blind(coordinator):
                self.thread_loop.call_soon_threadsafe(coordinator._client.force_metadata_update)

    def _consume_error(self, coordinator: Any, seen: deque[float]) -> None:
        try:
            coordinator.check_errors()
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is judged here
            seen.append(time.monotonic())
            log.error("coordinator error", problem=type(problem).__name__)  # noqa: TRY400 - no trace: it is theirs
            if coordinator._coordination_task.done() or _is_often(seen):
                self.rules.leave(f"coordinator: {type(problem).__name__}", EXIT_COORDINATOR)


def _is_stuck(coordinator: Any) -> bool:
    if coordinator._closing.done():
        return False
    return coordinator._pending_exception is not None or coordinator._coordination_task.done()


def _is_blind(coordinator: Any) -> bool:
    """Whether a topic that we read is not in the metadata, as after the restart of a broker that was still loading.

    A leader that sees nothing assigns nothing, and aiokafka looks again after five minutes only.
    """
    subscription = coordinator._subscription.subscription
    topics = subscription.topics if subscription is not None else ()
    return not all(coordinator._cluster.partitions_for_topic(topic) for topic in topics)


def _is_often(seen: deque[float]) -> bool:
    return len(seen) == FATAL_ERRORS and seen[-1] - seen[0] < FATAL_WITHIN_S

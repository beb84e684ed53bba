"""A worker process: one role and one lane, its agents over the transport, its publisher, fence, tail, timers, health.

Built by `console` and the pillars' shells: register agents, tasks and timers, then `run`. Anything that goes wrong
outside a handler ends the process with exit code 70; the supervisor starts it again and unfinished records are redone.
"""

import asyncio
import inspect
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import faust
import structlog

from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import Ring, load_keyring
from infra.dead import DeadOffice
from infra.hub import TP, Chunk, Fence, LogTail, Record
from infra.hub.guard import Guard, Handler
from infra.hub.rules import EXIT_FAULT, HubApp, Limits, Rules, leave
from infra.hub.transport import broker_url, credentials, register
from infra.kafka import Publisher
from infra.kafka.reach import explained
from infra.loop import new_event_loop, spare_collections
from infra.settings import Settings
from infra.telemetry import FENCE_AGE_S, OLDEST_UNFINISHED_S, PUBLISHER_QUEUE, Health, HealthServer, configure_logging
from schemas import topics
from schemas.errors import UnavailableError

if TYPE_CHECKING:
    from infra.hub.consumer import HubConsumer

__all__ = ["TP", "Chunk", "Fence", "LogTail", "Record", "Worker"]

STOP_S: Final = 9.0
"""A graceful stop that takes longer is ended; the supervisor allows 10 s."""
FLUSH_S: Final = 2.0
DRAIN_S: Final = 5.0
"""How long a stop or a rebalance waits for running handlers: shorter than the session."""
HUNG_S: Final = 60.0
"""A chunk that is unfinished for so long is reported as hanging."""
TICK_S: Final = 1.0
FETCH_BYTES: Final = 1_048_576
FETCH_BYTES_URGENT: Final = 131_072
"""128 KiB a partition: a tenth of the latency beside a backlog, for a fifth of the throughput (`bench` step)."""

LINGER_MS: Final = {"urgent": 2, "normal": 5, "bulk": 20}
"""How long a record waits for others to go with; roles without a lane wait as bulk does.

250 bulk messages a second, all published after 2 ms, were 1,080 requests a second at the broker; so they are 665.
"""

log = structlog.get_logger("worker")


class Worker:
    """One process of a role and lane in the consumer group `medpost.<role>.<lane>`.

    `ring` seals dead letters (default: the keyring's `dead`); `fetch_bytes` is the fetch size per partition, by
    default 128 KiB for the urgent lane and 1 MiB elsewhere.
    """

    def __init__(  # noqa: PLR0913 - the settings of a process
        self,
        settings: Settings,
        role: str,
        lane: str,
        *,
        commit_interval_s: float = 0.5,
        session_timeout_s: float = 6.0,
        heartbeat_interval_s: float = 1.0,
        fetch_bytes: int = 0,
        ring: Ring | None = None,
    ) -> None:
        self.settings: Final = settings
        self.role: Final = role
        self.lane: Final = lane
        self.group: Final = settings.group(role, lane)
        self.name: Final = f"{'.'.join(part for part in (role, lane) if part)}@{socket.gethostname()}:{os.getpid()}"
        self.bootstrap: Final = settings_module.kafka_endpoint(settings)
        self.publisher: Final = Publisher(self.bootstrap, linger_ms=LINGER_MS.get(lane, LINGER_MS["bulk"]))
        self.fence: Final = Fence(session_timeout_s)
        self.tail: Final = LogTail(self.bootstrap)
        self.health: Final = Health()
        self._timings = (commit_interval_s, session_timeout_s, heartbeat_interval_s)
        self._fetch_bytes = fetch_bytes or (FETCH_BYTES_URGENT if lane == "urgent" else FETCH_BYTES)
        self._ring = ring
        self._rules = Rules(fence=self.fence, drain_s=DRAIN_S)
        self._agents: list[tuple[str, Handler]] = []
        self._on_started: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._timers: list[tuple[float, Callable[[], object]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_ending = False
        self._app: HubApp | None = None
        self._is_hung = False
        self.health.ready_when(self.fence.is_fresh, "the consumer group")

    # -- what the pillars register

    def agent(
        self, topic: str, handler: Handler, *, max_records: int = 500, window: int = 4, max_bytes: int = 0
    ) -> None:
        """Run `handler` over the chunks of a topic (its name on the broker), one chunk after the other.

        `async def handler(chunk, out)` sends through `out`, which leaves when the handler returns, and may return an
        awaitable. A chunk is finished when all reports of `out` are good and the awaitable is done; meanwhile the
        next ones are handled, up to `window` unfinished chunks a partition. `max_records` and `max_bytes` of values
        (0: no limit) cut the chunks. An exception of the handler makes one dead letter per record that causes it,
        except Transient and UnavailableError, which are waited for.
        """
        self._rules.limits[topic] = Limits(max_records, window, max_bytes)
        self._agents.append((topic, handler))

    def on_assigned(self, callback: Callable[[frozenset[TP]], None]) -> None:
        """Call back in the loop before the first chunk of an assignment; must not block."""
        self._rules.on_assigned.append(callback)

    def on_revoked(self, callback: Callable[[frozenset[TP]], None]) -> None:
        """Call back in the loop after the last commit of an assignment, also when stopping; must not block."""
        self._rules.on_revoked.append(callback)

    def on_started(self, coro_fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Await it in the loop before the first record is read."""
        self._on_started.append(coro_fn)

    def every(self, interval_s: float, fn: Callable[[], object]) -> None:
        """Call `fn` (and await what it returns, if that is awaitable) every `interval_s`, never overlapping."""
        self._timers.append((interval_s, fn))

    def ready_when(self, check: Callable[[], bool], what: str) -> None:
        """Add a condition for /ready; `what` names it while it does not hold."""
        self.health.ready_when(check, what)

    def task(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine beside the agents; an exception in it ends the process with 70. Needs the running loop."""
        task = asyncio.get_running_loop().create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        """One that a stranger cancelled has failed as well: a library's stray cancellation ended takeovers silently."""
        self._tasks.discard(task)
        if task.cancelled():
            if not self._is_ending:
                log.error("task was cancelled", task=task.get_name())
                leave("task: cancelled")
        elif task.exception() is not None:
            log.error("task failed", exc_info=task.exception())
            leave(f"task: {type(task.exception()).__name__}")

    # -- running

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT (0) or a failure (70); blocks."""
        configure_logging(self.settings.log_level)
        register()
        spare_collections()
        name = ".".join(part for part in (self.role, self.lane) if part)
        server = HealthServer(self.health, self.settings.run_folder / f"{name}.json")
        server.start()
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(self._serve())
        except UnavailableError as away:
            told = explained(self.bootstrap, away)
            log.critical("cannot start", detail=told.detail, remedy=told.remedy)
            return EXIT_FAULT
        finally:
            server.stop()
            left = self.publisher.close(FLUSH_S)
            log.info("stopped", unacknowledged=left)

    async def _serve(self) -> int:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        for coro_fn in self._on_started:
            await coro_fn()
        app = self._app = self._build()
        for interval_s, fn in [(TICK_S, self._tick), *self._timers]:
            self.task(_repeat(interval_s, fn))
        starting = asyncio.get_running_loop().create_task(app.start())
        is_asked = await self._wait_for_end(app, starting, stopping)
        self._is_ending = True
        code = await self._stop(app, starting)
        return code if is_asked else EXIT_FAULT

    async def _wait_for_end(self, app: HubApp, starting: asyncio.Task[Any], stopping: asyncio.Event) -> bool:
        """True when asked to stop, False when the app crashed or could not start."""
        asked = asyncio.ensure_future(stopping.wait())
        ended = asyncio.ensure_future(app.wait_until_stopped())
        done, _ = await asyncio.wait({asked, ended, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting in done and starting.exception() is None:
            done, _ = await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        for waiter in (asked, ended):
            waiter.cancel()
        if asked in done:
            return True
        reason = app.crash_reason or (starting.exception() if starting.done() else None)
        log.critical("app ended", reason=type(reason).__name__)
        return False

    async def _stop(self, app: HubApp, starting: asyncio.Task[Any]) -> int:
        try:
            async with asyncio.timeout(STOP_S):
                await app.stop()
                await asyncio.gather(starting, return_exceptions=True)
                await self._end_tasks()
                await self.tail.close()
        except TimeoutError:
            self.publisher.flush(FLUSH_S / 4)
            leave("stopping took too long")  # threads that still wait would keep the process
        return 0

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- building the Faust app

    def _build(self) -> HubApp:
        commit_s, session_s, heartbeat_s = self._timings
        app = HubApp(
            self.group,
            broker=broker_url(self.bootstrap),
            broker_credentials=credentials(self.bootstrap),
            datadir=str(Path(tempfile.gettempdir()) / "medpost-faust"),
            value_serializer="raw",
            key_serializer="raw",
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            table_standby_replicas=0,
            stream_wait_empty=True,
            broker_commit_interval=commit_s,
            broker_session_timeout=session_s,
            broker_heartbeat_interval=heartbeat_s,
            broker_rebalance_timeout=30.0,
            broker_request_timeout=40.0,
            consumer_max_fetch_size=self._fetch_bytes,
            consumer_auto_offset_reset="earliest",  # before the first commit, a rebalance falls back to this
        )
        app.rules = self._rules
        for topic, handler in self._agents:
            self._add_agent(app, topic, handler)
        return app

    def _add_agent(self, app: HubApp, topic: str, handler: Handler) -> None:
        guard = Guard(handler, self.publisher, self._dead_office(), self.fence, leave)

        async def body(stream: Any) -> None:
            async for chunk in stream:
                await guard.take(cast("Chunk", chunk), cast("HubConsumer", app.consumer))

        channel = app.topic(topic, schema=faust.Schema(key_type=bytes, value_type=bytes))
        app.agent(channel, name=f"{topic}#{len(app.agents)}")(body)

    def _dead_office(self) -> DeadOffice:
        ring = self._ring or load_keyring(self.settings).ring("dead")
        topic = topics.DEAD.named(self.settings.namespace)
        return DeadOffice(topic, ring, SystemClock(), self.name, self.publisher.limit_bytes)

    # -- once a second

    def _tick(self) -> None:
        self.health.tick()
        FENCE_AGE_S.set(min(self.fence.age_s(), 1e9))
        PUBLISHER_QUEUE.set(self.publisher.queued())
        if self._app is not None and self._app.started:
            self._watch_hanging(cast("HubConsumer", self._app.consumer).oldest_unfinished_s())

    def _watch_hanging(self, oldest_s: float) -> None:
        OLDEST_UNFINISHED_S.set(oldest_s)
        if oldest_s > HUNG_S and not self._is_hung:
            log.error("a chunk hangs", age_s=round(oldest_s))
        self._is_hung = oldest_s > HUNG_S


async def _repeat(interval_s: float, fn: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(interval_s)
        found = fn()
        if inspect.isawaitable(found):
            await cast("Awaitable[object]", found)


def main(worker: Worker) -> None:
    """Run a worker as the whole program."""
    sys.exit(worker.run())

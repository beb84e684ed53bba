"""The guard around every agent: nothing escapes it, and a chunk is finished only behind acknowledged output.

Takes chunks one after the other: the handler runs, its output is released, and while the broker acknowledges, the
next chunk is handled. A record's own fault becomes one dead letter; a fault of what we stand on is waited for.
Handlers run again after a fault: until their output was released they must have had no effect elsewhere.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

import structlog
from msgspec import Struct

from infra.dead import DeadOffice
from infra.hub.chunk import Chunk
from infra.hub.fence import Fence
from infra.hub.rules import EXIT_FAULT
from infra.kafka import Batch, HeldBatch, PublishFailure
from infra.record import Record
from infra.telemetry import DEAD_LETTERS, PUBLISH_FAILURES
from schemas.errors import MedpostError, Permanent, Reason, Transient, UnavailableError

After: TypeAlias = Awaitable[object] | None
Handler: TypeAlias = Callable[[Chunk, Batch], Awaitable[After]]
"""Handles a chunk; what it returns, if anything, must be done too before the chunk counts as finished."""

RETRY_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between tries while something we stand on is away; the last one repeats."""

log = structlog.get_logger("hub")


class Consumer(Protocol):
    """What the guard tells the consumer about a chunk."""

    def begin(self, chunk: Chunk) -> None: ...  # noqa: D102 - see HubConsumer
    def finish(self, chunk: Chunk) -> None: ...  # noqa: D102
    def abandon(self, chunk: Chunk) -> None: ...  # noqa: D102


class Publishing(Protocol):
    """Where output is collected: `infra.kafka.Publisher`."""

    def held_batch(self) -> HeldBatch: ...  # noqa: D102


class Output(Struct):
    """What one run of the handler left: records to release, and what else must be done."""

    out: HeldBatch
    after: After = None


class Guard:
    """Runs one handler; one instance per agent, used by one task."""

    def __init__(
        self, handler: Handler, publisher: Publishing, dead: DeadOffice, fence: Fence, leave: Callable[[str, int], Any]
    ) -> None:
        self._handler = handler
        self._publisher = publisher
        self._dead = dead
        self._fence = fence
        self._leave = leave
        self._settling: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references

    async def take(self, chunk: Chunk, consumer: Consumer) -> None:
        """Handle a chunk; returns when its output is on its way. Lets only cancellation out."""
        try:
            await self._take(chunk, consumer)
        except Exception as fault:
            log.exception("agent failed outside its handler")
            self._leave(f"agent: {type(fault).__name__}", EXIT_FAULT)

    async def _take(self, chunk: Chunk, consumer: Consumer) -> None:
        if chunk.is_stale or not await self._fence.wait_fresh(lambda: chunk.is_stale):
            return
        consumer.begin(chunk)
        outputs = await self._outputs_of(chunk)
        if not await self._release(chunk, outputs):
            consumer.abandon(chunk)
            return
        task = asyncio.get_running_loop().create_task(self._settle(chunk, outputs, consumer))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    # -- running the handler

    async def _outputs_of(self, chunk: Chunk) -> list[Output]:
        try:
            return [await self._run(chunk)]
        except Exception as fault:  # noqa: BLE001 - a record's own fault, of whatever kind
            log.warning("chunk failed, taking it apart", **_where(chunk), fault=_kind(fault))
            return [await self._run_alone(chunk, record) for record in chunk]

    async def _run(self, chunk: Chunk) -> Output:
        """Run the handler, again and again while something we stand on is away."""
        tries = 0
        while True:
            out = self._publisher.held_batch()
            try:
                return Output(out, await self._handler(chunk, out))
            except (Transient, UnavailableError) as away:
                out.discard()
                if chunk.is_stale:
                    return Output(out)
                log.warning("waiting to try a chunk again", **_where(chunk), reason=away.reason, detail=away.detail)
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
            except BaseException:
                out.discard()
                raise

    async def _run_alone(self, chunk: Chunk, record: Record) -> Output:
        try:
            return await self._run(chunk.alone(record))
        except Exception as fault:  # noqa: BLE001 - as above
            return Output(self._bury(record, fault))

    def _bury(self, record: Record, fault: Exception) -> HeldBatch:
        """One dead letter for a record, held like any output."""
        reason, detail = judged(fault)
        log.error("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        DEAD_LETTERS.labels(reason).inc()
        out = self._publisher.held_batch()
        self._dead.bury(out, record, reason, detail)
        return out

    # -- letting output go, and finishing

    async def _release(self, chunk: Chunk, outputs: Sequence[Output]) -> bool:
        """Let the output go, unless the partition was given up meanwhile: its next owner does all of it again."""
        is_ours = await self._fence.wait_fresh(lambda: chunk.is_given_up)
        if not is_ours or any(output.out.is_discarded for output in outputs):
            for output in outputs:
                output.out.discard()
                if asyncio.iscoroutine(output.after):
                    output.after.close()  # never begun, and never to begin
            return False
        for output in outputs:
            await output.out.release()
        return True

    async def _settle(self, chunk: Chunk, outputs: Sequence[Output], consumer: Consumer) -> None:
        """Wait for the acknowledgements and what the handler returned, then finish."""
        try:
            failures = await self._acknowledged(outputs)
            if failures:
                await self._mend(chunk, failures)
            consumer.finish(chunk)
        except asyncio.CancelledError:
            raise
        except Exception as fault:
            if chunk.is_given_up:
                log.warning("after giving up", **_where(chunk), fault=_kind(fault))
                return
            log.exception("finishing failed", **_where(chunk))
            self._leave(f"finishing: {_kind(fault)}", EXIT_FAULT)

    async def _acknowledged(self, outputs: Sequence[Output]) -> list[PublishFailure]:
        failures: list[PublishFailure] = []
        for output in outputs:
            if output.after is not None:
                await output.after
            failures += await output.out.wait()
        return failures

    async def _mend(self, chunk: Chunk, failures: Sequence[PublishFailure]) -> None:
        """The broker refused some output. For a record's own fault: find it, one by one; for any other: leave.

        Here, and only here, output of healthy records is sent twice: which record's it was is not known any more.
        """
        for failure in failures:
            PUBLISH_FAILURES.labels(failure.name).inc()
        foreign = next((failure for failure in failures if not failure.is_permanent), None)
        if foreign is not None:
            raise UnavailableError(f"publishing to {foreign.topic}: {foreign.name}")
        for record in chunk:
            output = await self._run_alone(chunk, record)
            refused = await self._acknowledged([output])
            if refused:
                fault = Permanent(refused[0].reason, f"publishing to {refused[0].topic}: {refused[0].name}")
                failed_again = await self._bury(record, fault).wait()
                if failed_again:
                    raise UnavailableError(f"dead letter refused: {failed_again[0].name}")


def judged(fault: Exception) -> tuple[Reason, str]:
    """Reason and detail of a dead letter; of a stranger's error only kind and place, its text may name a person."""
    if isinstance(fault, MedpostError):
        return fault.reason, fault.detail
    return Reason.INTERNAL, _kind(fault)


def _kind(fault: BaseException) -> str:
    """The class of an exception and where it was raised."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{type(fault).__name__}{place}"


def _where(chunk: Chunk) -> dict[str, object]:
    return {
        "topic": chunk.tp.topic,
        "partition": chunk.tp.partition,
        "first": chunk[0].offset,
        "last": chunk[-1].offset,
    }

"""The dispatcher of one channel in one lane: takes chunks of deliveries, remembers claims, takes partitions over.

Called by the sink agents as the handler of `deliveries.<channel>.<lane>`. One chunk's work is a `Shift`; chunks work
side by side, so that one slow recipient keeps nobody waiting.
"""

import asyncio
from collections.abc import Awaitable, Sequence

from infra.worker import Chunk
from schemas.codec import DELIVERY
from schemas.errors import Permanent, Reason
from schemas.records import Delivery
from sinks.claim import Memory, hold_ms
from sinks.outlet import Outlets
from sinks.shift import LOOK_AGAIN_S, Post, Shift
from sinks.takeover import Takeover


class Dispatch:
    """Answers the deliveries of one channel in one lane."""

    def __init__(self, channel: str, lane: str, post: Post, outlets: Outlets, takeover: Takeover) -> None:
        self._channel = channel
        self._post = post
        self._outlets = outlets
        self._takeover = takeover
        self._remember_ms = 2 * hold_ms(lane)
        self._memories: dict[int, Memory] = {}
        self._taken_over: dict[int, tuple[object, asyncio.Task[bool]]] = {}

    async def take(self, chunk: Chunk, _out: object) -> Awaitable[None]:
        """The agent's handler: decodes, and returns what must be done before the chunk is finished.

        Raises Permanent(decode_error) for a record that is no delivery of this channel, and UnavailableError before
        the registry has been read.
        """
        self._outlets.current()
        deliveries = [self._decoded(record.value) for record in chunk]
        return self._answer_all(chunk, deliveries, self._takeover_of(chunk))

    def _decoded(self, raw: bytes | None) -> Delivery:
        delivery: Delivery = DELIVERY.decode(raw)
        if delivery.channel != self._channel:
            raise Permanent(Reason.DECODE_ERROR, f"a delivery for another channel than {self._channel}")
        return delivery

    def _takeover_of(self, chunk: Chunk) -> asyncio.Task[bool]:
        """The reading of the log's tail, begun with the first chunk of an assignment."""
        partition, epoch = chunk.tp.partition, chunk.ticket.epoch
        begun = self._taken_over.get(partition)
        if begun is not None and begun[0] is epoch:
            return begun[1]
        memory = self._memories.setdefault(partition, Memory(self._post.worker))
        reading = self._takeover.read(memory, partition, chunk[0].timestamp, lambda: chunk.is_given_up)
        task = asyncio.get_running_loop().create_task(reading)
        self._taken_over[partition] = (epoch, task)
        return task

    async def _answer_all(self, chunk: Chunk, deliveries: Sequence[Delivery], takeover: asyncio.Task[bool]) -> None:
        """Return when all are answered; or, when the partition is taken away first, when it is given up."""
        if await asyncio.shield(takeover):
            memory = self._memories[chunk.tp.partition]
            memory.forget(min(self._post.clock.now_ms(), chunk[0].timestamp) - self._remember_ms)
            if await Shift(self._post, self._outlets, memory, chunk).work(deliveries):
                return
        while not chunk.is_given_up:  # noqa: ASYNC110 - the transport has no event for it, and it is rare
            await asyncio.sleep(LOOK_AGAIN_S)

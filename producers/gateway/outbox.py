"""How messages leave: one idempotent producer a lane, and an answer only once all in-sync replicas have the record.

Called by `messages`, `batches` and `cancel`. A full queue, a broker that is silent or says no is told to the caller;
nothing is retried or dropped here. A lane has a producer of its own, so that no urgent message waits behind a batch.
"""

import asyncio
from typing import Final

from infra.kafka import ROOM_WAIT_S, Batch, Headers, Publisher, PublishFailure, QueueFullError
from producers.outgoing import Outgoing
from schemas.errors import Permanent, UnavailableError
from schemas.statuses import LANES, Lane

QUEUED_RECORDS: Final = 100_000
QUEUED_KBYTES: Final = 131_072
"""128 MiB a lane: two batches of 40,000."""
FLUSH_S: Final = 3.0


class Outbox:
    """The gateway's producers; `ack_s` is how long an acknowledgement is waited for."""

    def __init__(self, bootstrap: str, ack_s: float) -> None:
        self.ack_s = ack_s
        self._publishers = {
            lane: Publisher(
                bootstrap,
                delivery_timeout_ms=int(ack_s * 1000),
                linger_ms=1,
                queue_buffering_max_messages=QUEUED_RECORDS,
                queue_buffering_max_kbytes=QUEUED_KBYTES,
                client_id=f"medpost-gateway-{lane}",
            )
            for lane in LANES
        }

    async def publish(self, record: Outgoing, headers: Headers) -> None:
        """Return when the broker has it; raises UnavailableError when it does not say so in time, Permanent."""
        shipment = self.shipment()
        shipment.put(record, headers)
        await shipment.arrived()

    def shipment(self) -> "Shipment":
        """Several records whose acknowledgements are awaited together."""
        return Shipment(self._publishers, self.ack_s)

    def queued(self) -> int:
        """Records not yet acknowledged."""
        return sum(publisher.queued() for publisher in self._publishers.values())

    def close(self) -> int:
        """Wait a moment for what is on its way; how many records are still not acknowledged."""
        return sum(publisher.close(FLUSH_S) for publisher in self._publishers.values())


class Shipment:
    """Records on their way, counted together by lane."""

    def __init__(self, publishers: dict[Lane, Publisher], ack_s: float) -> None:
        self._publishers = publishers
        self._ack_s = ack_s
        self._batches: dict[Lane, Batch] = {}

    def put(self, record: Outgoing, headers: Headers) -> None:
        """Queue one record; raises QueueFullError (nothing was queued), Permanent(too_large)."""
        batch = self._batches.get(record.lane)
        if batch is None:
            batch = self._batches[record.lane] = self._publishers[record.lane].batch()
        batch.send(record.topic, record.value, record.key, headers)

    async def put_patiently(self, record: Outgoing, headers: Headers) -> None:
        """Queue one record, waiting for room as long as for an acknowledgement; raises UnavailableError after that."""
        give_up = asyncio.get_running_loop().time() + self._ack_s
        while True:
            try:
                self.put(record, headers)
            except QueueFullError:
                if asyncio.get_running_loop().time() >= give_up:
                    raise
                await asyncio.sleep(ROOM_WAIT_S)
            else:
                return

    async def arrived(self) -> None:
        """Return when everything is acknowledged; raises UnavailableError or Permanent when anything is not."""
        try:
            async with asyncio.timeout(self._ack_s):
                for batch in self._batches.values():
                    _check(await batch.wait())
        except TimeoutError:
            raise UnavailableError("the broker did not acknowledge in time", "try again under the same id") from None


def _check(failures: list[PublishFailure]) -> None:
    for failure in failures:
        if failure.is_permanent:
            raise Permanent(failure.reason, f"{failure.name} for {failure.topic}")
        raise UnavailableError(f"the broker did not acknowledge ({failure.name})", "try again under the same id")

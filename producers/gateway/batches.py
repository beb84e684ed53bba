"""`POST /v1/message-batches`: up to 40,000 messages in one body.

The body is cut into messages at once and read in slices, so that the loop never pauses for long; every message is
judged alone, and what is wrong with some of them is told by place. 202: all of the good ones are acknowledged.
"""

import asyncio
from typing import Final

import msgspec
from msgspec import Struct, field

from producers.gateway.accepting import Prepared, id_in_batch, read
from producers.gateway.call import Answer, Call, body_of
from producers.gateway.counter import Counter
from producers.gateway.memory import Taken
from producers.gateway.messages import RETRY_AFTER_S, check_conflict, headers_of
from producers.gateway.models import MAX_BATCH_ERRORS, BatchAccepted, BatchBody, Problem
from producers.gateway.outbox import Shipment
from producers.gateway.problems import Refused, problem, within
from schemas.errors import Permanent, Reason, UnavailableError

BODY_BYTES: Final = 50_331_648
LONGER: Final = 6
"""How many times as long as a message a batch may take to arrive."""
BREATH_S: Final = 0.005
"""So long a batch is read without letting the loop turn; by time, because a busy machine is slower."""
AT_ONCE: Final = 3
"""Batches that are being received or read at a time; one more is told to come again."""

_BODY: Final = msgspec.json.Decoder(BatchBody)


class Progress(Struct):
    """What became of a batch so far."""

    message_ids: list[str | None] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0

    def refuse(self, place: int, refusal: Refused) -> None:
        """Keep why one of them was refused; the first 100 of these."""
        self.refused += 1
        self.message_ids.append(None)
        for found in refusal.problems:
            if len(self.errors) < MAX_BATCH_ERRORS:
                self.errors.append(within(found, f"/messages/{place}"))


class Batches:
    """Takes batches, a few at a time."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._reading = asyncio.Lock()

    async def take(self, _counter: Counter, call: Call) -> Answer:
        """One batch, published before it is answered."""
        if self._turns.locked():
            told = ("正在受理其他批次", "other batches are being taken")
            raise Refused([problem(Reason.TRANSIENT, told)], {"Retry-After": str(RETRY_AFTER_S)})
        async with self._turns:
            most_s = LONGER * self._counter.settings.gateway_body_s
            body = read(_BODY.decode, await body_of(call.request, BODY_BYTES, most_s))
            async with self._reading:
                return await self._take(call, body)

    async def _take(self, call: Call, body: BatchBody) -> Answer:
        app, count = call.sender.app, len(body.messages)
        app_id = app.app_id
        quota, progress = self._counter.quota, Progress()
        quota.messages(app_id, count, call.now_ms, self._counter.clock.monotonic_s(), app.http_messages_per_day)
        try:
            await self._publish(call, body, progress)
        except UnavailableError:
            quota.give_back(app_id, count)
            raise _unacknowledged(body.batch_reference) from None
        quota.give_back(app_id, progress.refused)
        if not progress.accepted:
            raise Refused(progress.errors)
        return Answer(202, _told(body.batch_reference, progress))

    async def _publish(self, call: Call, body: BatchBody, progress: Progress) -> None:
        shipment, headers = self._counter.outbox.shipment(), headers_of(call, call.sender)
        clock = self._counter.clock
        breathed_s = clock.monotonic_s()
        for place, raw in enumerate(body.messages):
            await self._put(call, (body.batch_reference, place, raw), shipment, headers, progress)
            if clock.monotonic_s() - breathed_s > BREATH_S:
                await asyncio.sleep(0)
                breathed_s = clock.monotonic_s()
        await shipment.arrived()

    async def _put(
        self,
        call: Call,
        asked: tuple[str, int, msgspec.Raw],
        shipment: Shipment,
        headers: list[tuple[str, bytes]],
        progress: Progress,
    ) -> None:
        batch_reference, place, raw = asked
        app_id = call.sender.app.app_id
        try:
            prepared: Prepared = self._counter.desk.prepare(
                raw, call.sender, call.now_ms, id_in_batch(app_id, batch_reference, place)
            )
            await check_conflict(self._counter, prepared, app_id)
            await shipment.put_patiently(prepared.record, headers)
        except Refused as refusal:
            progress.refuse(place, refusal)
        except Permanent as wrong:
            progress.refuse(place, Refused([problem(wrong.reason, (wrong.detail, wrong.detail))]))
        else:
            message_id = prepared.record.message_id
            progress.message_ids.append(message_id)
            progress.accepted += 1
            self._counter.memory.note(message_id, Taken(app_id, prepared.digest, call.now_ms))


def _told(batch_reference: str, progress: Progress) -> BatchAccepted:
    return BatchAccepted(batch_reference, progress.accepted, progress.refused, progress.message_ids, progress.errors)


def _unacknowledged(batch_reference: str) -> Refused:
    """Some of it may be there: the whole batch may be sent again, nothing is sent twice."""
    told = (
        "未得到全部确认；请以同一 batch_reference 重发整批，不会重复发送",
        "not everything was acknowledged; send the whole batch again under its reference, nothing is sent twice",
    )
    made = Refused([problem(Reason.TRANSIENT, told)], {"Retry-After": str(RETRY_AFTER_S)})
    made.reference = batch_reference
    return made

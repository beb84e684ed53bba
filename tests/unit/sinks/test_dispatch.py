"""The dispatcher: decodes, takes over before the first claim, remembers, and lets chunks work side by side."""

import asyncio

import pytest

from schemas.codec import DELIVERY
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.records import Delivery
from schemas.statuses import Stage
from sinks.channel import Accepted
from sinks.claim import hold_ms
from tests.channel_samples import ACCEPTED_AT, delivery
from tests.sink_desk import Desk, claim_of, parcel

REMEMBERED_MS = 2 * hold_ms("normal")


@pytest.mark.parametrize("raw", [b"", b"no delivery", DELIVERY.encode(delivery(1, "sms"))])
async def test_a_record_that_is_no_delivery_of_ours_is_a_dead_letter(raw: bytes) -> None:
    """The guard takes the chunk apart: the handler has done nothing yet."""
    desk = Desk()
    with pytest.raises(Permanent) as caught:
        await desk.begin(desk.group.raw_chunk([DELIVERY.encode(parcel()), raw]))
    assert caught.value.reason is Reason.DECODE_ERROR
    assert desk.log.events == []


async def test_before_the_registry_is_read_everybody_waits() -> None:
    """An empty registry drops nothing."""
    desk = Desk()
    desk.registry.is_ready = False
    with pytest.raises(UnavailableError):
        await desk.work(parcel())
    desk.registry.is_ready = True
    await desk.work(parcel())
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}


async def test_nothing_begins_before_the_handler_returned() -> None:
    """What it returns is begun by the guard, or closed unbegun."""
    desk = Desk()
    work = await desk.dispatch.take(desk.group.chunk([parcel()]), None)
    await asyncio.sleep(0.02)
    assert desk.log.events == []
    await work
    assert len(desk.log.events) == 2


async def test_the_tail_is_read_once_an_assignment_and_partition() -> None:
    """From twice the hold before the oldest unfinished delivery, and again after a revocation."""
    desk = Desk()
    await desk.work(parcel(1))
    await desk.work(parcel(2))
    assert desk.log.tail_reads == [ACCEPTED_AT - REMEMBERED_MS]
    await (await desk.begin(desk.group.chunk([parcel(3)], partition=0)))
    desk.group.revoke()
    await desk.work(parcel(4))
    assert len(desk.log.tail_reads) == 3


async def test_nothing_is_sent_before_the_tail_is_read() -> None:
    """While the broker is away it waits; another chunk of the partition waits too."""
    desk = Desk()
    desk.log.tail_fails = 1
    first = await desk.begin(desk.group.chunk([parcel(1)]))
    second = await desk.begin(desk.group.chunk([parcel(2)]))
    await asyncio.sleep(0.05)
    assert desk.log.events == []
    await asyncio.wait_for(asyncio.gather(first, second), 2)
    assert desk.calls.total() == 2


async def test_a_take_over_that_is_itself_taken_away_says_nothing() -> None:
    """The partition went on while the tail was read."""
    desk = Desk()
    desk.log.tail_fails = 10_000
    work = await desk.begin(desk.group.chunk([parcel()]))
    await asyncio.sleep(0.02)
    desk.group.revoke()
    await asyncio.wait_for(work, 2)
    assert desk.log.events == []


async def test_a_successor_answers_what_its_predecessor_left() -> None:
    """Answered: nothing more. Claimed: unknown. Never claimed: sent. Of another channel: no matter."""
    desk = Desk()
    answered, claimed, fresh = parcel(1), parcel(2), parcel(3)
    other = claim_of(fresh)
    desk.log.events += [
        claim_of(answered),
        claim_of(claimed),
        claim_of(answered, stage=Stage.OUTCOME),
        type(other)(other.message_id, Stage.SENDING, "sms", attempt=1, at=ACCEPTED_AT, worker="x"),
    ]
    before = len(desk.log.events)
    await desk.work(answered, claimed, fresh)
    told = [(event.message_id[-1], event.stage) for event in desk.log.events[before:]]
    assert sorted(told) == [(2, Stage.UNKNOWN), (3, Stage.OUTCOME), (3, Stage.SENDING)]
    assert list(desk.calls) == [fresh.message_id]


async def test_two_owners_one_after_the_other_call_once() -> None:
    """The first claims and dies; the second knows from the log alone."""
    desk = Desk()
    dying = asyncio.Event()

    async def hang(one: Delivery) -> Accepted:
        await dying.wait()
        return Accepted("never told")

    desk.on_call(hang)
    first = await desk.begin(desk.group.chunk([parcel()]), desk.another("sinks.normal@there:2"))
    await asyncio.sleep(0.05)
    first.cancel()
    desk.group.revoke()
    await desk.work(parcel())
    assert desk.calls.total() == 1
    assert desk.stages() == {Stage.SENDING: 1, Stage.UNKNOWN: 1}


async def test_claims_are_forgotten_after_twice_the_hold_of_the_stream() -> None:
    """By the stream's time, not the clock's: redelivered old records still meet what is known of them."""
    desk = Desk()
    await desk.work(parcel(1))
    desk.clock.advance(10 * REMEMBERED_MS)
    await desk.work(parcel(1))
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}
    later = ACCEPTED_AT + 10 * REMEMBERED_MS
    late = parcel(2, claim_by=later + 5_000, expires_at=later + 60_000)
    await (await desk.begin(desk.group.chunk([late], appended_at=later)))
    await desk.work(parcel(1))
    assert desk.stages() == {Stage.SENDING: 2, Stage.OUTCOME: 2, Stage.DROPPED: 1}


async def test_chunks_of_a_partition_work_side_by_side() -> None:
    """One recipient who hangs does not stop the next chunk."""
    desk = Desk()
    hang = asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        if one.message_id == parcel(1).message_id:
            await hang.wait()
        return Accepted("id")

    desk.on_call(call)
    slow = await desk.begin(desk.group.chunk([parcel(1)]))
    await desk.work(parcel(2))
    assert not slow.done()
    hang.set()
    await asyncio.wait_for(slow, 1)

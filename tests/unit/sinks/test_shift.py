"""The work on a chunk: claim before call, one call at most, one answer, and silence where another owner answers."""

import asyncio

import pytest

from infra.hub.fence import Fence
from schemas.configuration import ProviderAccount
from schemas.errors import Permanent, Reason, Transient, UnavailableError
from schemas.records import Delivery, Event
from schemas.statuses import Stage, Status
from sinks.channel import Accepted, UnknownOutcome
from sinks.codebook import ProviderTransient
from sinks.shift import CLAIMED_BEFORE, CLOSED, OFF_MS
from tests.channel_samples import ACCEPTED_AT, HOLD_MS
from tests.sink_desk import Desk, Scripted, claim_of, parcel

SHORT_S = 0.06


async def ok(one: Delivery) -> Accepted:
    """Take it."""
    return Accepted(one.message_id.hex())


async def test_the_claim_is_in_the_log_before_the_call() -> None:
    """Never the other way round, and the answer comes after both."""
    desk = Desk()

    async def look(one: Delivery) -> Accepted:
        assert [event.message_id for event in desk.log.of(Stage.SENDING)] == [one.message_id]
        assert desk.log.answers() == []
        return Accepted("id")

    desk.on_call(look)
    await desk.work(parcel())
    assert [event.stage for event in desk.log.events] == [Stage.SENDING, Stage.OUTCOME]
    assert desk.log.events[1].provider == "acme"
    assert desk.log.partitions == {3}


async def test_the_content_is_opened_for_the_call() -> None:
    """Address and text reach the channel, and nothing else."""
    desk = Desk()
    await desk.work(parcel(5))
    assert (Scripted.contents[0].address, Scripted.contents[0].text) == ("address-5", "text-5")


async def test_every_delivery_of_a_chunk_is_answered_once() -> None:
    """Fifty of them, in the order of the chunk."""
    desk = Desk()
    await desk.work(*(parcel(number) for number in range(1, 51)))
    assert desk.stages() == {Stage.SENDING: 50, Stage.OUTCOME: 50}
    assert set(desk.calls.values()) == {1}
    claims = [event.message_id for event in desk.log.of(Stage.SENDING)]
    assert claims == sorted(claims)


async def test_a_claim_that_is_not_acknowledged_is_never_called() -> None:
    """The broker's fault is told to the worker, which ends."""
    desk = Desk()
    desk.log.is_refusing = True
    with pytest.raises(UnavailableError):
        await desk.work(parcel())
    assert not desk.calls


async def test_one_that_hangs_delays_nobody() -> None:
    """The others are answered while it hangs; the chunk is finished when it is."""
    desk = Desk()
    hang = asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        if one.message_id == parcel(1).message_id:
            await hang.wait()
        return await ok(one)

    desk.on_call(call)
    work = await desk.begin(desk.group.chunk([parcel(1), parcel(2), parcel(3)]))
    await asyncio.sleep(SHORT_S)
    assert desk.stages() == {Stage.SENDING: 3, Stage.OUTCOME: 2}
    assert not work.done()
    hang.set()
    await asyncio.wait_for(work, 1)
    assert desk.stages()[Stage.OUTCOME] == 3


@pytest.mark.parametrize("told", [{"claim_by": ACCEPTED_AT}, {"expires_at": ACCEPTED_AT + 2_000}])
async def test_what_comes_too_late_is_dropped_without_a_claim(told: dict[str, int]) -> None:
    """Settle issues it again, or lets it expire."""
    desk = Desk()
    await desk.work(parcel(**told))
    assert [(event.stage, event.reason) for event in desk.log.events] == [(Stage.DROPPED, Reason.TOO_LATE)]
    assert not desk.calls


async def test_a_claim_acknowledged_too_late_is_not_called() -> None:
    """The check is made again right before the call."""
    desk = Desk()

    async def late(event: Event) -> None:
        if event.stage == Stage.SENDING:
            desk.clock.advance(HOLD_MS)

    desk.log.on_append = late
    await desk.work(parcel())
    assert [event.stage for event in desk.log.events] == [Stage.SENDING, Stage.DROPPED]
    assert not desk.calls


async def test_waiting_for_a_permit_ends_with_claim_by() -> None:
    """Nothing is claimed while it waits, and nothing is called after."""
    desk = Desk()
    desk.registry.put(max_in_flight=1)
    hang = asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        await hang.wait()
        return await ok(one)

    desk.on_call(call)
    work = await desk.begin(desk.group.chunk([parcel(1), parcel(2)]))
    await asyncio.sleep(SHORT_S)
    assert desk.stages() == {Stage.SENDING: 1}
    desk.clock.advance(HOLD_MS)
    await asyncio.sleep(0.2)
    assert desk.stages() == {Stage.SENDING: 1, Stage.DROPPED: 1}
    hang.set()
    await asyncio.wait_for(work, 1)
    assert desk.stages() == {Stage.SENDING: 1, Stage.DROPPED: 1, Stage.OUTCOME: 1}


async def test_failures_are_answers() -> None:
    """A refusal, an unknown outcome and a bug of the channel each become one event, with the reason."""
    desk = Desk()
    problems = {
        1: Permanent(Reason.RECIPIENT_INVALID),
        2: UnknownOutcome("timeout"),
        3: RuntimeError("bug"),
    }

    async def call(one: Delivery) -> Accepted:
        raise problems[int.from_bytes(one.message_id, "big")]

    desk.on_call(call)
    await desk.work(parcel(1), parcel(2), parcel(3))
    told = {
        event.message_id[-1]: (event.stage, event.status, event.reason, event.provider_code)
        for event in desk.log.answers()
    }
    assert told == {
        1: (Stage.OUTCOME, Status.FAILED, Reason.RECIPIENT_INVALID, ""),
        2: (Stage.UNKNOWN, Status.UNKNOWN, Reason.UNKNOWN_OUTCOME, "timeout"),
        3: (Stage.UNKNOWN, Status.UNKNOWN, Reason.UNKNOWN_OUTCOME, "RuntimeError"),
    }


async def test_what_cannot_be_opened_is_the_records_own_fault() -> None:
    """Sealed for another message: failed, no call, and the next one is sent."""
    desk = Desk()
    await desk.work(parcel(1, sealed=parcel(2).sealed), parcel(3))
    reasons = {event.message_id[-1]: event.reason for event in desk.log.answers()}
    assert reasons == {1: Reason.DECODE_ERROR, 3: ""}
    assert list(desk.calls) == [parcel(3).message_id]


async def test_the_same_attempt_twice_in_a_chunk_is_one_call_and_one_answer() -> None:
    """Settle may publish a delivery again after a take-over of its own."""
    desk = Desk()
    await desk.work(parcel(1), parcel(1), parcel(2, claim_by=0), parcel(2, claim_by=0))
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1, Stage.DROPPED: 1}
    await desk.work(parcel(1), parcel(2, claim_by=0))
    assert sum(desk.stages().values()) == 3


async def test_a_foreign_claim_becomes_unknown_and_never_a_second_call() -> None:
    """An earlier owner claimed it, and perhaps called."""
    desk = Desk()
    desk.log.events.append(claim_of(parcel(1)))
    await desk.work(parcel(1), parcel(1))
    (answer,) = desk.log.answers()
    assert (answer.stage, answer.provider_code) == (Stage.UNKNOWN, CLAIMED_BEFORE)
    assert not desk.calls


async def test_ownership_in_doubt_is_waited_for() -> None:
    """The heartbeat is too old: nothing is claimed; answered again, it goes on."""
    desk = Desk()
    desk.fence.lost()
    work = await desk.begin(desk.group.chunk([parcel()]))
    await asyncio.sleep(SHORT_S)
    assert desk.log.events == []
    desk.fence.answered(0.0)
    await asyncio.wait_for(work, 1)
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}


async def test_ownership_lost_after_the_claim_means_silence() -> None:
    """No call and no word: the next owner finds the claim and answers."""
    desk = Desk()

    async def freeze(event: Event) -> None:
        desk.fence.lost()

    desk.log.on_append = freeze
    work = await desk.begin(desk.group.chunk([parcel()]))
    await asyncio.sleep(SHORT_S)
    assert (desk.stages(), desk.calls.total(), work.done()) == ({Stage.SENDING: 1}, 0, False)
    desk.group.revoke()
    await asyncio.wait_for(work, 1)
    desk.fence.answered(0.0)
    assert (desk.stages(), desk.calls.total()) == ({Stage.SENDING: 1}, 0)


async def test_a_claim_made_is_called_while_the_flow_only_stops() -> None:
    """Until the partition is really given up; else every graceful rebalance would leave unknowns."""
    desk = Desk()

    async def stop(event: Event) -> None:
        desk.group.is_flowing = False

    desk.log.on_append = stop
    await desk.work(parcel())
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}


async def test_nothing_new_is_claimed_while_the_flow_is_stopped() -> None:
    """The chunk stays unfinished until the partition is given up."""
    desk = Desk()
    chunk = desk.group.chunk([parcel()])
    desk.group.is_flowing = False
    work = await desk.begin(chunk)
    await asyncio.sleep(SHORT_S)
    assert (desk.log.events, work.done()) == ([], False)
    desk.group.revoke()
    await asyncio.wait_for(work, 1)
    assert desk.log.events == []


async def test_the_outcome_of_a_call_already_made_is_always_told() -> None:
    """The partition is another's by then; the fact is ours."""
    desk = Desk()
    called, answer = asyncio.Event(), asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        called.set()
        await answer.wait()
        return await ok(one)

    desk.on_call(call)
    work = await desk.begin(desk.group.chunk([parcel()]))
    await called.wait()
    desk.group.revoke()
    desk.fence.lost()
    answer.set()
    await asyncio.wait_for(work, 1)
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}


async def test_redelivered_while_the_older_handler_calls_it_waits_for_that_answer() -> None:
    """The new chunk is finished only when the attempt is answered: else a crash would leave it silent."""
    desk = Desk()
    called, answer = asyncio.Event(), asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        called.set()
        await answer.wait()
        return await ok(one)

    desk.on_call(call)
    old = await desk.begin(desk.group.chunk([parcel()]))
    await called.wait()
    desk.group.revoke()
    new = await desk.begin(desk.group.chunk([parcel()]))
    await asyncio.sleep(SHORT_S)
    assert not new.done()
    answer.set()
    await asyncio.wait_for(asyncio.gather(old, new), 1)
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1}
    assert desk.calls.total() == 1


async def test_redelivered_after_the_older_handler_let_it_go_it_is_sent() -> None:
    """The same process lost and regained the partition between claim and call: somebody answers, and that is it."""
    desk = Desk()

    async def freeze_once(event: Event) -> None:
        desk.log.on_append = None
        desk.fence.lost()

    desk.log.on_append = freeze_once
    old = await desk.begin(desk.group.chunk([parcel()]))
    await asyncio.sleep(SHORT_S)
    desk.group.revoke()
    new = await desk.begin(desk.group.chunk([parcel()]))
    desk.fence.answered(0.0)
    await asyncio.wait_for(asyncio.gather(old, new), 2)
    assert desk.calls.total() == 1
    assert desk.stages()[Stage.OUTCOME] == 1


async def test_a_channel_that_is_off_is_down() -> None:
    """Configuration is not the message's fault: it waits at settle, or falls back, and nothing is offered in vain."""
    desk = Desk()
    desk.registry.put(status="disabled")
    await desk.work(parcel())
    (told,) = desk.log.events
    assert (told.stage, told.reason, told.scope) == (Stage.DEFERRED, Reason.CONFIG_MISSING, "channel")
    assert (told.until, told.detail) == (desk.clock.now_ms() + OFF_MS, CLOSED)


async def test_permits_are_given_back() -> None:
    """However a call ends, and when nothing was called."""
    desk = Desk()
    desk.registry.put(max_in_flight=4)

    async def call(one: Delivery) -> Accepted:
        raise Permanent(Reason.RECIPIENT_INVALID)

    desk.on_call(call)
    await desk.work(*(parcel(number) for number in range(1, 30)))
    (outlet,) = desk.outlets.current()
    assert outlet.account.limiter.in_flight == 0
    assert desk.stages() == {Stage.SENDING: 29, Stage.OUTCOME: 29}


async def test_an_account_in_trouble_is_left_alone() -> None:
    """The first calls are answered as they ended; the rest is deferred, without a claim and without a call."""
    desk = Desk()
    desk.registry.put(max_in_flight=40)

    async def call(one: Delivery) -> Accepted:
        raise Transient(Reason.TRANSIENT, "connecting")

    desk.on_call(call)
    for number in range(1, 31):
        await desk.work(parcel(number))
    assert desk.stages() == {Stage.SENDING: 5, Stage.OUTCOME: 5, Stage.DEFERRED: 25}
    assert desk.calls.total() == 5
    answer = desk.log.of(Stage.DEFERRED)[0]
    assert (answer.reason, answer.scope, answer.until) == (Reason.TRANSIENT, "account", ACCEPTED_AT + 1_000)
    Scripted.answer.clear()
    desk.clock.advance(1_000)
    await desk.work(parcel(31), parcel(32))
    assert (desk.calls.total(), desk.stages()[Stage.DEFERRED]) == (6, 26)
    await desk.work(parcel(33), parcel(34))
    assert desk.calls.total() == 8


@pytest.mark.parametrize(
    ("scope", "name", "said"),
    [
        ("channel", "fake", "channel"),
        ("type", parcel().type, "message"),
        ("app", parcel().app_id, "message"),
        ("provider", "acme", "account"),
    ],
)
async def test_what_is_held_is_deferred_without_a_call_until_it_is_released(scope: str, name: str, said: str) -> None:
    """Nothing of it is claimed; another hold does not touch it."""
    desk = Desk()
    desk.hold(scope, name)
    await desk.work(parcel(1))
    assert [(event.stage, event.reason, event.scope) for event in desk.log.events] == [
        (Stage.DEFERRED, Reason.HELD, said)
    ]
    assert desk.log.events[0].until == ACCEPTED_AT + 10_000
    desk.hold(scope, name, is_held=False)
    desk.hold(scope, "other")
    await desk.work(parcel(2))
    assert desk.calls.total() == 1


async def test_a_held_provider_leaves_the_channel_to_the_other() -> None:
    """Nobody waits while somebody else may send."""
    desk = Desk()
    desk.registry.put(others=[ProviderAccount("bold", base_url="http://y", rate_per_s=1_000, max_in_flight=100)])
    desk.hold("provider", "acme")
    await desk.work(*(parcel(number) for number in range(1, 21)))
    assert desk.stages() == {Stage.SENDING: 20, Stage.OUTCOME: 20}
    assert {event.provider for event in desk.log.events} == {"bold"}


@pytest.mark.parametrize(("wait_s", "ends"), [(HOLD_MS / 1000 + 1, Stage.DEFERRED), (2.0, Stage.OUTCOME)])
async def test_a_pause_is_kept_by_waiting_or_by_sending_away(wait_s: float, ends: Stage) -> None:
    """Longer than the hold nobody waits; shorter, the call is made when it is over, and not before."""
    desk = Desk()

    async def slow_down(one: Delivery) -> Accepted:
        raise ProviderTransient(Reason.RATE_LIMITED, "429", wait_s)

    desk.on_call(slow_down)
    await desk.work(parcel(1))
    desk.on_call(ok)
    work = await desk.begin(desk.group.chunk([parcel(2)]))
    await asyncio.sleep(SHORT_S)
    assert desk.calls.total() == 1
    desk.clock.advance(2_000)
    await asyncio.wait_for(work, 1)
    last = desk.log.events[-1]
    assert last.stage == ends
    if ends is Stage.DEFERRED:
        told = (last.reason, last.scope, last.until)
        assert told == (Reason.RATE_LIMITED, "account", ACCEPTED_AT + round(wait_s * 1000))


async def test_a_hold_catches_what_already_waits_for_a_permit() -> None:
    """It is looked at right before the claim; the call under way ends as it began."""
    desk = Desk()
    desk.registry.put(max_in_flight=1)
    hang = asyncio.Event()

    async def call(one: Delivery) -> Accepted:
        await hang.wait()
        return await ok(one)

    desk.on_call(call)
    work = await desk.begin(desk.group.chunk([parcel(1), parcel(2)]))
    await asyncio.sleep(SHORT_S)
    desk.hold("channel", "fake")
    hang.set()
    await asyncio.wait_for(work, 1)
    assert desk.stages() == {Stage.SENDING: 1, Stage.OUTCOME: 1, Stage.DEFERRED: 1}
    assert desk.calls.total() == 1


async def test_a_real_fence_forgets_by_its_clock() -> None:
    """The desk's fence is the transport's own: half a session without an answer is not fresh."""
    now_s = 0.0
    fence = Fence(6.0, lambda: now_s)
    fence.answered(0.0)
    now_s = 2.9
    assert fence.is_fresh()
    now_s = 3.1
    assert not fence.is_fresh()

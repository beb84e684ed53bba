"""The work on one chunk of deliveries: each is claimed, sent and answered with one event, or left to the next owner.

The order that keeps a message from being sent twice: permit, claim, acknowledgement of the claim, ownership checked
again, one call, answer. Called by the dispatcher. It never retries, and never calls a provider before the claim is in
the log. The answer to a call that was made is published whoever owns the partition by then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct
from prometheus_client import Counter

from infra.clock import Clock
from infra.holds import Holds
from infra.worker import Chunk
from schemas.codec import EVENT
from schemas.errors import MedpostError, Reason, UnavailableError
from schemas.records import Delivery, Event
from sinks.account import HELD_MS, Pass, Standing
from sinks.answers import Scribe
from sinks.channel import UnknownOutcome
from sinks.claim import Memory, Verdict, attempt_of, is_too_late, last_call_ms
from sinks.outlet import Outlet, Outlets

LOOK_AGAIN_S: Final = 0.02
CLAIMED_BEFORE: Final = "claimed_before"
"""How a call "ended" that an earlier owner may or may not have made."""
CLOSED: Final = "no provider of this channel is open: disabled, or wrongly set (see the log of sinks)"
OFF_MS: Final = 5_000
"""A channel without any open provider is down, and looked at again so often; what waits for it waits at settle."""
ANSWERS: Final = Counter("medpost_sink_answers_total", "Deliveries answered", ["channel", "stage", "reason"])
UNMAPPED: Final = Counter("medpost_sink_unmapped_codes_total", "Vendor codes not in the book", ["provider", "code"])


class Sends(Protocol):
    """One batch of events on its way: `infra.kafka.Batch`."""

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, *, partition: int = -1) -> None: ...  # noqa: D102
    async def wait(self) -> Sequence[object]: ...  # noqa: D102


class Owning(Protocol):
    """The fence: `infra.worker.Fence`."""

    async def wait_fresh(self, is_given_up: Callable[[], bool]) -> bool: ...  # noqa: D102


class Post(Struct, frozen=True):
    """What a dispatcher works with: how it publishes, how it knows that it owns, what time it is, what is held."""

    batch: Callable[[], Sends]
    fence: Owning
    clock: Clock
    events_topic: str
    worker: str
    holds: Holds


class Shift:
    """The work on one chunk."""

    def __init__(self, post: Post, outlets: Outlets, memory: Memory, chunk: Chunk) -> None:
        self._post = post
        self._outlets = outlets
        self._memory = memory
        self._chunk = chunk
        self._partition = chunk.tp.partition
        self._tasks: list[asyncio.Task[bool]] = []

    async def work(self, deliveries: Sequence[Delivery]) -> bool:
        """Answer all; returns whether that is done, False when some are left to the partition's next owner."""
        is_complete = await self._claim_all([*deliveries])
        return await _all_of(self._tasks) and is_complete

    async def _claim_all(self, waiting: list[Delivery]) -> bool:
        """Let the deliveries go out, every provider's share at its own pace; False when the partition is lost."""
        if not await self._may_begin():
            return False
        is_open = bool(self._outlets.current())
        waiting = [*self._answer_at_once(waiting, is_open=is_open)]
        if not is_open or not waiting:
            return True
        share = self._outlets.share(waiting)
        if share.closed is not None:
            self._defer(waiting, share.closed)
            return True
        if len(share.groups) == 1:
            return await self._claim_share(*share.groups[0])
        return await _all_of([self._claim_share(outlet, group) for outlet, group in share.groups])

    async def _claim_share(self, outlet: Outlet, waiting: list[Delivery]) -> bool:
        """Let them go out over one provider in their order, as fast as permits come; over another when it closes."""
        while waiting:
            until_ms, now_ms = min(map(last_call_ms, waiting)), self._post.clock.now_ms()
            if outlet.account.may_call(now_ms, max(0, until_ms - now_ms)).is_closed:
                return await self._claim_all(waiting)
            given = await outlet.account.admit(len(waiting), until_ms, lambda: self._chunk.is_stale)
            is_ours = await self._may_begin()
            waiting, claimed = self._claim(outlet, waiting, given.count if is_ours else 0)
            for _ in range(given.count - len(claimed)):
                outlet.account.give_back(given)
            if claimed:
                self._begin(self._carry(outlet, given, claimed))
            if not is_ours:
                return False
            is_open = outlet in self._outlets.current()
            waiting = [*self._answer_at_once(waiting, is_open=True)]
            if not is_open:
                return await self._claim_all(waiting)
        return True

    def _defer(self, waiting: Sequence[Delivery], standing: Standing) -> None:
        """Answer that the account is closed until a moment: nothing is claimed, and nobody waits here."""
        scribe, now_ms = Scribe(self._post.worker, self._outlets.provider), self._post.clock.now_ms()
        reason = standing.reason or Reason.TRANSIENT
        answers = [(one, scribe.deferred(one, now_ms, reason, standing.until_ms, "account")) for one in waiting]
        for one, _ in answers:
            self._memory.hold(attempt_of(one), now_ms)
        self._begin(self._publish_all(answers))

    async def _may_begin(self) -> bool:
        """Whether something new may be said or done: the partition is ours, and is not being taken away."""
        return await self._post.fence.wait_fresh(lambda: self._chunk.is_stale)

    def _answer_at_once(self, waiting: Sequence[Delivery], *, is_open: bool) -> Iterator[Delivery]:
        """The deliveries that need a call; the others are answered here, without one. Closed: nothing is called."""
        answers: list[tuple[Delivery, Event]] = []
        for one in waiting:
            verdict = self._memory.verdict(attempt_of(one))
            if verdict is Verdict.WAIT:
                self._begin(self._wait_for_older(one))
            elif verdict is not Verdict.SKIP:
                answer = self._answer_without_call(one, verdict, is_open=is_open)
                if answer is None:
                    yield one
                else:
                    self._memory.hold(attempt_of(one), answer.at)
                    answers.append((one, answer))
        if answers:
            self._begin(self._publish_all(answers))

    def _answer_without_call(self, one: Delivery, verdict: Verdict, *, is_open: bool) -> Event | None:
        """The answer to a delivery that needs no call; None when it needs one."""
        now_ms = self._post.clock.now_ms()
        scribe = Scribe(self._post.worker, self._outlets.provider)
        if verdict is Verdict.UNKNOWN:
            return scribe.unknown(one, now_ms, CLAIMED_BEFORE)
        if is_too_late(one, now_ms):
            return scribe.dropped(one, now_ms, Reason.TOO_LATE)
        if scope := self._post.holds.scope_of(one.app_id, one.type, one.channel):
            return scribe.deferred(one, now_ms, Reason.HELD, now_ms + HELD_MS, scope)
        if is_open:
            return None
        return scribe.deferred(one, now_ms, Reason.CONFIG_MISSING, now_ms + OFF_MS, "channel", CLOSED)

    def _claim(
        self, outlet: Outlet, waiting: Sequence[Delivery], permits: int
    ) -> tuple[list[Delivery], list[Delivery]]:
        """(what still waits, what is claimed): as many as there are permits. Nothing is awaited on the way."""
        now_ms, provider, holds = self._post.clock.now_ms(), outlet.config.provider, self._post.holds
        left: list[Delivery] = []
        claimed: list[Delivery] = []
        for one in waiting:
            is_free = self._memory.verdict(attempt_of(one)) is Verdict.CLAIM and not is_too_late(one, now_ms)
            if is_free and len(claimed) < permits and not holds.is_held(one.app_id, one.type, one.channel, provider):
                self._memory.hold(attempt_of(one), now_ms)
                claimed.append(one)
            else:
                left.append(one)
        return left, claimed

    async def _carry(self, outlet: Outlet, given: Pass, group: Sequence[Delivery]) -> bool:
        """Put the claims into the log, and when they are there, make the calls side by side."""
        now_ms = self._post.clock.now_ms()
        scribe = Scribe(self._post.worker, outlet.config.provider)
        await self._publish([scribe.sending(one, now_ms) for one in group])
        return await _all_of([self._call(outlet, given, one) for one in group])

    async def _call(self, outlet: Outlet, given: Pass, one: Delivery) -> bool:
        """The call of one claim; False when the partition was given up before it, and nothing was said or done."""
        try:
            if not await self._post.fence.wait_fresh(lambda: self._chunk.is_given_up):
                self._memory.let_go(attempt_of(one))
                return False
            if is_too_late(one, self._post.clock.now_ms()):
                scribe = Scribe(self._post.worker, outlet.config.provider)
                answer = scribe.dropped(one, self._post.clock.now_ms(), Reason.TOO_LATE)
            else:
                began_s = self._post.clock.monotonic_s()
                answer = await self._outcome(outlet, one)
                outlet.account.told(given, answer)
                self._outlets.told(outlet, answer, round((self._post.clock.monotonic_s() - began_s) * 1000))
        finally:
            outlet.account.give_back(given)
        await self._publish_all([(one, answer)])
        return True

    async def _outcome(self, outlet: Outlet, one: Delivery) -> Event:
        """Call the provider, and tell how it ended."""
        scribe = Scribe(self._post.worker, outlet.config.provider, outlet.channel.capability.costs_money)
        try:
            accepted = await outlet.send(one)
        except MedpostError as problem:
            if problem.reason is Reason.UNMAPPED:
                UNMAPPED.labels(scribe.provider, str(getattr(problem, "provider_code", ""))[:64]).inc()
            return scribe.failed(one, self._post.clock.now_ms(), problem)
        except Exception as fault:  # noqa: BLE001 - a bug behind the port: whether it was sent is not known
            return scribe.failed(one, self._post.clock.now_ms(), UnknownOutcome(type(fault).__name__))
        return scribe.accepted(one, self._post.clock.now_ms(), accepted)

    async def _wait_for_older(self, one: Delivery) -> bool:
        """Wait until the older handler of this process has answered what it holds, or let it go; then look again."""
        while self._memory.verdict(attempt_of(one)) is Verdict.WAIT:  # noqa: ASYNC110 - rare, and ends with a call
            await asyncio.sleep(LOOK_AGAIN_S)
        if self._memory.verdict(attempt_of(one)) is Verdict.SKIP:
            return True
        again = Shift(self._post, self._outlets, self._memory, self._chunk)
        return await again.work([one])

    # -- answers

    def _begin(self, work: Awaitable[bool]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _publish_all(self, answers: Sequence[tuple[Delivery, Event]]) -> bool:
        """Publish answers, and remember them once they are acknowledged."""
        await self._publish([event for _, event in answers])
        now_ms = self._post.clock.now_ms()
        for one, event in answers:
            self._memory.answered(attempt_of(one), now_ms)
            ANSWERS.labels(event.channel, event.stage, event.reason or event.status).inc()
        return True

    async def _publish(self, events: Sequence[Event]) -> None:
        """Append events to the log; raises UnavailableError when the broker does not acknowledge them all."""
        batch = self._post.batch()
        for event in events:
            batch.send(self._post.events_topic, EVENT.encode(event), event.message_id, partition=self._partition)
        if failures := await batch.wait():
            raise UnavailableError(f"publishing {len(failures)} events failed", "see the broker's log")


async def _all_of(works: Sequence[Awaitable[bool]]) -> bool:
    """Whether all of them are done; the first exception is raised, but only once all have ended."""
    answered = await asyncio.gather(*works, return_exceptions=True)
    for found in answered:
        if isinstance(found, BaseException):
            raise found
    return all(answered)

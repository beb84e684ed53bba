"""The verdict over a crash history: what must never happen, counted in `world.found`.

The log is folded once more from nothing; the disk, the provider's calls and the outcomes are compared with that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from schemas import ids
from schemas.statuses import Stage
from streams.census import recounted
from streams.checkpoint import checkpoint_of
from streams.fold import Effect, fold
from streams.hours import quiet_until
from streams.keys import Keys, seq_bytes
from streams.message_state import MessageState, Phase, Place, pack, unpack
from streams.retries import TRIES
from streams.rows import decode_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.state import Store
    from schemas.records import Delivery, Event, Plan
    from tests.crash_world import Call, World

KEYS = Keys(0, 3)
"""The world's partition."""


def folded(world: World, end: int, on_effect: Callable[[Place, Event, int], None] | None = None) -> dict[bytes, bytes]:
    """The states of the log's first `end` events, folded from nothing."""
    states: dict[bytes, MessageState] = {}
    for place, event in world.log[:end]:
        state, effect = fold(states.get(event.message_id), event, place)
        if state is not None:
            states[event.message_id] = state
        if on_effect is not None:
            on_effect(place, event, effect)
    return {key: pack(state) for key, state in states.items()}


def check_disk(world: World, store: Store) -> None:
    """State on disk = fold of the log's prefix; every message has its due entry, every waiting channel its place."""
    checkpoint = checkpoint_of(store, KEYS)
    rows = {key[-16:]: decode_row(value) for key, value in store.iterate(*KEYS.states)}
    expected = folded(world, checkpoint.position if checkpoint is not None else 0)
    if world.is_forgetful:  # a disk made anew knows nothing of what ended long ago
        expected = {key: state for key, state in expected.items() if key in rows or not unpack(state).final}
    if {key: pack(row.state) for key, row in rows.items()} != expected:
        world.found["disk is not the fold of the log"] += 1
    if checkpoint is not None and checkpoint.counts != recounted(store, KEYS):
        world.found["counted is not what is there"] += 1
    for key, row in rows.items():
        if store.get(KEYS.due(row.armed, key)) is None:
            world.found["message without due entry"] += 1
        for index, channel in enumerate(row.state.channels):
            place = KEYS.line(channel.channel, row.state.app_id, row.state.type) + seq_bytes(channel.seq)
            is_waiting = channel.phase == Phase.WAITING or bool(row.released >> index & 1)
            if is_waiting != (store.get(place) == key):
                world.found["line differs from state"] += 1


class Ledger:
    """The log once more, folded from nothing: what counted, and where it stands."""

    def __init__(self, world: World) -> None:
        self.finals: dict[bytes, list[tuple[int, str]]] = defaultdict(list)
        self.proved: dict[tuple[bytes, str], int] = {}
        self.issued: dict[tuple[bytes, str, int], tuple[int, int]] = {}
        self.issued_at: dict[bytes, list[tuple[int, int, int]]] = defaultdict(list)
        self.refuted: set[tuple[bytes, str]] = set()
        self.moved: set[bytes] = set()
        folded(world, len(world.log), self.note)

    def note(self, place: Place, event: Event, effect: int) -> None:
        """Remember what counted."""
        key = (event.message_id, event.channel)
        if effect == Effect.COMPLETED:
            self.finals[event.message_id].append((place.offset, event.status))
        elif effect == Effect.ISSUED:
            self.issued[*key, event.attempt] = (place.offset, event.claim_by)
            self.issued_at[event.message_id].append((event.at, event.claim_by, place.appended_at))
        elif event.stage == Stage.RESCHEDULE_REQUESTED:
            self.moved.add(event.message_id)
        elif event.stage == Stage.RECEIPT and event.status == "failed":
            self.refuted.add(key)  # a receipt may come before the answer to the call, and says more
        elif event.status == "accepted" and key in self.refuted:
            return
        elif event.stage in (Stage.OUTCOME, Stage.RECEIPT) and event.status in ("accepted", "delivered", "read"):
            self.proved.setdefault(key, place.offset)


def judge(world: World, first: dict[bytes, Event]) -> None:
    """What must never happen, counted in `world.found`."""
    ledger = Ledger(world)
    told = {(outcome.message_id, outcome.status) for outcome in world.outcomes}
    for event in first.values():
        _judge_message(world.found, ledger, event, told)
    world.found["info: messages"] += len(first)
    world.found["info: calls"] += len(world.calls)
    attempts: Counter[tuple[bytes, str, int]] = Counter()
    taken: set[tuple[bytes, str]] = set()
    for call in world.calls:
        delivery = call.delivery
        plan = first[delivery.message_id].plan
        assert plan is not None
        _judge_call(world.found, ledger, call, plan, taken)
        attempts[delivery.message_id, delivery.channel, delivery.attempt] += 1
    world.found["same attempt called twice"] += sum(count - 1 for count in attempts.values())
    made = Counter((of, channel) for of, channel, _ in attempts)
    for (of, _), count in made.items():
        _judge_tries(world.found, first[of], count)


def _judge_message(found: Counter[str], ledger: Ledger, event: Event, told: set[tuple[str, str]]) -> None:
    of, finals = event.message_id, ledger.finals[event.message_id]
    if not finals:
        found["lost: no final status"] += 1
        return
    found["final status never told"] += sum((ids.show(of), status) not in told for _, status in finals)
    if of not in ledger.moved:
        _judge_times(found, event, ledger.issued_at[of])
    offset, status = finals[-1]
    channels = event.plan.channels if event.plan is not None else []
    easy = [channel.channel for channel in channels if channel.success == "accepted"]
    is_proved = any(ledger.proved.get((of, channel), offset) < offset for channel in easy)
    if is_proved and status in ("failed", "expired"):
        found["final status denies a logged proof"] += 1


def _judge_tries(found: Counter[str], event: Event, calls: int) -> None:
    """A channel is called no more often than the plan says, also when answers were lost."""
    plan = event.plan
    assert plan is not None
    if calls > (plan.tries or TRIES):
        found["called more often than the plan says"] += 1


def _judge_times(found: Counter[str], event: Event, issued: list[tuple[int, int, int]]) -> None:
    """Nothing is issued before its time (by either clock), in its quiet hours, or to be claimed in them."""
    plan = event.plan
    assert plan is not None
    for at, claim_by, appended_at in issued:
        if max(at, appended_at) < plan.send_at:
            found["issued before its time"] += 1
        if quiet_until(plan.quiet_from, plan.quiet_until, at):
            found["issued in quiet hours"] += 1
        if quiet_until(plan.quiet_from, plan.quiet_until, claim_by - 1):
            found["may be claimed in quiet hours"] += 1


def _judge_call(found: Counter[str], ledger: Ledger, call: Call, plan: Plan, taken: set[tuple[bytes, str]]) -> None:
    delivery = call.delivery
    key = (delivery.message_id, delivery.channel)
    at, claim_by = ledger.issued.get((*key, delivery.attempt), (-1, 0))
    if claim_by != delivery.claim_by:
        found["sent without being announced"] += 1
    if ledger.proved.get(key, at) < at:
        found["issued again after a logged proof"] += 1
    if key in taken and not delivery.possible_duplicate:
        found["taken twice, not marked"] += 1
    if any(offset < call.log_length and status == "expired" for offset, status in ledger.finals[delivery.message_id]):
        found["sent after expired"] += 1
    _check_fallback(found, plan, ledger.proved, delivery, at)
    if call.is_taken:
        taken.add(key)


def _check_fallback(
    found: Counter[str], plan: Plan, proved: dict[tuple[bytes, str], int], delivery: Delivery, at: int
) -> None:
    """A fallback must not be issued after another channel's success (at its level) stands in the log."""
    weights = {channel.channel: channel for channel in plan.channels}
    if weights[delivery.channel].weight >= plan.threshold:
        return
    for name, channel in weights.items():
        is_success = channel.success == "accepted" and proved.get((delivery.message_id, name), at) < at
        if name != delivery.channel and is_success:
            found["needless fallback"] += 1

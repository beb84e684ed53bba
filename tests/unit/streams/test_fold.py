"""fold: facts count, conclusions only if the guard allows them, and the state is a function of the log alone."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Event, Occurrence
from schemas.statuses import Stage
from streams.fold import Effect, fold
from streams.message_state import MessageState, Place, pack, unpack
from tests.crash_world import random_plan
from tests.factories import T0, accepted, answer, plan, rejected
from tests.story import HOLD_MS, ID, Story, claimed


def events_of(seed: int) -> list[tuple[Event, Place]]:
    """A message's acceptance and some forty events about it that make sense, or do not."""
    rnd = Random(seed)
    chosen = random_plan(rnd, T0)
    names = [channel.channel for channel in chosen.channels]
    now, events = T0, [accepted(ID, chosen)]
    for _ in range(40):
        now += rnd.choice((0, 10, 2_000, 7_000))
        stage = rnd.choice([*Stage])
        status = rnd.choice(("accepted", "delivered", "failed", "expired", "sent"))
        attempt, until = rnd.choice((0, 1, 1, 2, 3)), now + rnd.choice((0, 5_000))
        event = answer(ID, stage, rnd.choice(names), attempt, at=now, status=status, claim_by=until, until=until)
        events.append(accepted(ID, chosen) if stage == Stage.ACCEPTED else event)
    return [(event, Place(offset, event.at)) for offset, event in enumerate(events)]


def run(events: list[tuple[Event, Place]], state: MessageState | None = None) -> MessageState | None:
    """The state after these events."""
    for event, place in events:
        state, _ = fold(state, event, place)
    return state


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_any_prefix_folds_to_one_state(seed: int, cut: int) -> None:
    """Folding a log twice, or from what was written to disk anywhere in between, gives the same state."""
    events = events_of(seed)
    whole = run(events)
    assert whole is not None
    before = run(events[: cut + 1])
    assert before is not None
    resumed = run(events[cut + 1 :], unpack(pack(before)))
    assert resumed is not None
    assert pack(whole) == pack(resumed)


ONCE = {Stage.ACCEPTED, Stage.REJECTED, Stage.ISSUED, Stage.OUTCOME, Stage.UNKNOWN, Stage.RECEIPT, Stage.DEFERRED}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_an_event_that_stands_twice_counts_once(seed: int, at: int) -> None:
    """What is appended a second time, next to the first, changes nothing."""
    events = events_of(seed)[: at + 1]
    event, place = events[-1]
    state = run(events)
    assert state is not None
    known = pack(state)
    if event.stage in ONCE:
        again, effect = fold(state, event, Place(place.offset + 1, place.appended_at))
        assert again is state
        assert effect == Effect.NONE
        assert pack(state) == known


def test_lapsed_is_refused_before_its_time_and_after_a_claim() -> None:
    """Whoever appended it: a lapse counts only for what is issued and overdue."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    assert fold(story.state, answer(ID, Stage.LAPSED, "x", at=story.now), Place(50, T0))[1] == Effect.NONE
    story = claimed()
    late = T0 + HOLD_MS + 2_000
    assert fold(story.state, answer(ID, Stage.LAPSED, "x", at=late), Place(50, late))[1] == Effect.NONE


def test_an_issue_counts_once_and_in_order() -> None:
    """A second `issued` of the same attempt, and one that skips an attempt, are refused."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    for attempt in (1, 3):
        again = answer(ID, Stage.ISSUED, "x", attempt, at=T0, claim_by=T0 + 1)
        assert fold(story.state, again, Place(50, T0))[1] == Effect.NONE


def test_completed_is_refused_while_a_channel_is_out() -> None:
    """A final status that a stale settle appends cannot count before the answer is there."""
    story = claimed()
    for status in ("sent", "failed", "expired"):
        event = answer(ID, Stage.COMPLETED, "x", 0, at=T0, status=status)
        assert fold(story.state, event, Place(50, T0))[1] == Effect.NONE


def test_repeat_conflict_and_late_refusal() -> None:
    """The same request again is silence, another one under the same id a conflict, a late refusal nothing."""
    first = accepted(ID, plan(0.6))
    state, _ = fold(None, first, Place(0, T0))
    assert fold(state, first, Place(1, T0))[1] == Effect.NONE
    other = accepted(ID, plan(0.6, digest=bytes(16)))
    assert fold(state, other, Place(2, T0))[1] == Effect.CONFLICT
    assert fold(state, rejected(ID, "app_disabled"), Place(3, T0))[1] == Effect.NONE


@pytest.mark.parametrize("stage", [Stage.SKIPPED, Stage.FALLBACK, Stage.RETRY_SCHEDULED, Stage.HELD])
def test_announcements_are_never_read(stage: Stage) -> None:
    """What only announces what fold derived changes nothing."""
    story = claimed()
    assert fold(story.state, answer(ID, stage, "x"), Place(50, T0))[1] == Effect.NONE


def test_nothing_is_known_of_a_stranger() -> None:
    """Events of a message whose acceptance is not in reach are ignored."""
    assert fold(None, answer(ID, Stage.OUTCOME, "x", status="accepted"), Place(0, T0)) == (None, Effect.NONE)
    assert fold(None, answer(ID, Stage.COMPLETED, "x", status="sent"), Place(0, T0)) == (None, Effect.NONE)


def test_a_channel_outside_the_plan_is_ignored() -> None:
    """An event about a channel that the plan does not have changes nothing."""
    story = claimed()
    assert fold(story.state, answer(ID, Stage.OUTCOME, "fax", status="accepted"), Place(50, T0))[1] == Effect.NONE


def test_the_first_of_a_series_is_remembered_until_its_last_sending_ends() -> None:
    """So that whoever takes it back on the fifth day is understood."""
    ends_at = T0 + 30 * 86_400_000
    story = Story(accepted(ID, plan(later=[Occurrence(T0 + 29 * 86_400_000, ends_at, [b""] * 3)])))
    assert (story.known.repeats, story.known.series_end) == (1, ends_at)
    story.answer(Stage.OUTCOME, "x", "accepted")
    assert story.known.final == "sent"
    assert story.known.forget_at == ends_at

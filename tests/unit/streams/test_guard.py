"""The guard: what may be concluded from a state at a moment, and when time itself has something to say."""

import pytest

from schemas.limits import CLAIM_MARGIN_MS
from streams.guard import (
    ANSWER_GRACE_MS,
    LAPSE_MS,
    judge,
    may_complete,
    may_issue,
    may_lapse,
    may_time_out,
    next_due,
)
from streams.message_state import ChannelState, MessageState, Phase
from tests.factories import T0

EXPIRES = T0 + 600_000


def state_of(*phases: int, **changes: object) -> MessageState:
    """A message whose channels stand in these phases; every moment of theirs is T0 + 1,000."""
    channels = [
        ChannelState(f"c{index}", 0.9, 1, 60_000, phase=phase, attempt=1, until=T0 + 1_000, deadline=T0 + 1_000)
        for index, phase in enumerate(phases)
    ]
    return MessageState("his", "t", T0, **{"expires_at": EXPIRES, "channels": channels, **changes})  # type: ignore[arg-type]  # free changes


@pytest.mark.parametrize(
    ("phase", "at", "may"),
    [
        (Phase.WAITING, T0, True),
        (Phase.WAITING, EXPIRES - CLAIM_MARGIN_MS, False),
        (Phase.DEFERRED, T0 + 999, False),
        (Phase.DEFERRED, T0 + 1_000, True),
        (Phase.ISSUED, T0, False),
        (Phase.SUCCEEDED, T0, False),
        (Phase.SKIPPED, T0, False),
    ],
)
def test_may_issue(phase: int, at: int, may: bool) -> None:
    """Only what waits, not before its time, not in the last two seconds."""
    state = state_of(phase)
    assert may_issue(state, state.channels[0], at) is may


def test_nothing_is_issued_for_a_final_message() -> None:
    """Whatever its channels say."""
    state = state_of(Phase.WAITING, final="expired")
    assert not may_issue(state, state.channels[0], T0)


@pytest.mark.parametrize("phase", range(10))
def test_only_issued_lapses(phase: int) -> None:
    """And only two seconds after claim_by."""
    channel = state_of(phase).channels[0]
    assert may_lapse(channel, T0 + 1_000 + LAPSE_MS) == (phase == Phase.ISSUED)
    assert not may_lapse(channel, T0 + 999 + LAPSE_MS)


@pytest.mark.parametrize("phase", range(10))
def test_what_was_claimed_times_out(phase: int) -> None:
    """At its deadline, also while it waits to try again; what was never claimed has none."""
    channel = state_of(phase).channels[0]
    claimed = (Phase.SENDING, Phase.TAKEN, Phase.SILENT, Phase.WAITING, Phase.DEFERRED)
    assert may_time_out(channel, T0 + 1_000) == (phase in claimed)
    channel.deadline = 0
    assert may_time_out(channel, T0) == (phase in claimed[:3])


@pytest.mark.parametrize("phase", [Phase.ISSUED, Phase.SENDING, Phase.TAKEN, Phase.SILENT])
def test_an_open_channel_keeps_the_message_open(phase: int) -> None:
    """Even past its expiry: first comes the answer, or the timeout."""
    assert judge(state_of(Phase.SUCCEEDED, phase), EXPIRES + 1) is None


def test_what_still_waits_at_expiry_is_expired_unless_something_succeeded() -> None:
    """Not before; with a proof the message is done."""
    assert judge(state_of(Phase.FAILED, Phase.WAITING), EXPIRES - 1) is None
    verdict = judge(state_of(Phase.FAILED, Phase.WAITING), EXPIRES)
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("expired", "expired")
    done = state_of(Phase.SUCCEEDED, Phase.WAITING)
    done.channels[0].level = 1
    assert may_complete(done, "sent", EXPIRES)


def test_done_is_the_highest_level_proved() -> None:
    """Of several successes the strongest names status and channel."""
    state = state_of(Phase.SUCCEEDED, Phase.SUCCEEDED)
    state.channels[0].level, state.channels[1].level = 1, 3
    verdict = judge(state, T0)
    assert verdict is not None
    assert (verdict.status, verdict.channel) == ("read", "c1")


def test_unknown_outcome_wins_over_definite_reasons() -> None:
    """Because a late receipt may still prove the opposite."""
    state = state_of(Phase.FAILED, Phase.FAILED)
    state.channels[0].reason, state.channels[1].reason = "unknown_outcome", "recipient_invalid"
    verdict = judge(state, T0)
    assert verdict is not None
    assert (verdict.status, verdict.reason, verdict.channel) == ("failed", "unknown_outcome", "c0")


@pytest.mark.parametrize(
    ("final", "reason", "raised"),
    [
        ("failed", "unknown_outcome", True),
        ("failed", "recipient_invalid", False),
        ("expired", "expired", True),
        ("sent", "", True),
        ("delivered", "", False),
        ("read", "", False),
        ("rejected", "token_expired", False),
    ],
)
def test_late_proof_raises_only_what_it_may(final: str, reason: str, raised: bool) -> None:
    """Failed (unknown_outcome) and expired < sent < delivered < read; the others absorb."""
    state = state_of(Phase.SUCCEEDED, final=final, final_reason=reason)
    state.channels[0].level = 2
    verdict = judge(state, T0)
    assert (verdict is not None and verdict.status == "delivered") == raised


def test_next_due_is_the_earliest_moment() -> None:
    """A claim that lapses, a deadline, an end of deferral; expiry when nothing else is out."""
    assert next_due(state_of(Phase.ISSUED), T0) == T0 + 1_000 + LAPSE_MS
    assert next_due(state_of(Phase.SENDING, Phase.WAITING, expires_at=T0 + 5), T0) == T0 + 1_000
    deferred = state_of(Phase.DEFERRED)
    deferred.channels[0].deadline = 0
    assert next_due(deferred, T0) == T0 + 1_000
    assert next_due(deferred, T0 + 1_000) == EXPIRES
    waiting = state_of(Phase.WAITING)
    waiting.channels[0].deadline = 0
    assert next_due(waiting, T0) == EXPIRES


def test_next_due_of_a_final_message_is_when_it_is_forgotten() -> None:
    """Nothing else is to come."""
    assert next_due(state_of(Phase.SUCCEEDED, final="sent", forget_at=T0 + 7), T0) == T0 + 7


def test_the_last_answer_is_awaited_for_less_than_the_law_allows() -> None:
    """Every message is final by expiry + 60 s: grace and lapse leave room for the conclusion itself."""
    assert ANSWER_GRACE_MS + LAPSE_MS + CLAIM_MARGIN_MS < 60_000

"""The routing truth table and the timers, through fold and decide as settle drives them, without disk or Kafka."""

import pytest

from schemas.errors import Reason
from schemas.limits import CLAIM_MARGIN_MS
from schemas.records import Plan
from schemas.statuses import Stage
from streams.decide import decide
from streams.fold import fold
from streams.guard import ANSWER_GRACE_MS, LAPSE_MS
from streams.message_state import Phase, Place
from tests.factories import T0, accepted, answer, plan, plan_channel, rejected
from tests.story import HOLD_MS, ID, Story


def play(threshold: float, answers: dict[str, str]) -> Story:
    """Run a message whose channels answer: ok, bad, slow ok (after all others), or silent until the timeout.

    `2 ok` refuses twice for a passing reason before it takes it; `busy` refuses so for ever.
    """
    story = Story(accepted(ID, plan(threshold, tries=3)))
    slow = [channel for channel, how in answers.items() if how == "slow"]
    while (out := _out(story, slow)) or slow:
        for channel in out:
            _answer(story, channel, answers[channel])
        if slow and not _out(story, slow):
            story.answer(Stage.OUTCOME, slow.pop(), "accepted")
    return story


def _out(story: Story, slow: list[str]) -> list[str]:
    """Channels that are to be answered now."""
    return [one.channel for one in story.known.channels if one.phase == Phase.ISSUED and one.channel not in slow]


def _answer(story: Story, channel: str, how: str) -> None:
    if how == "silent":
        story.tell(answer(ID, Stage.SENDING, channel, at=story.now))
        story.look(60_000)
        return
    for _ in range(3 if how == "busy" else int(how[0]) if how[0].isdigit() else 0):
        story.answer(Stage.OUTCOME, channel, "failed", reason=Reason.TRANSIENT)
        if story.channel(channel).phase == Phase.DEFERRED:
            story.look(story.channel(channel).until - story.now)
    if how == "bad":
        story.answer(Stage.OUTCOME, channel, "failed", reason=Reason.RECIPIENT_INVALID)
    elif how != "busy":
        story.answer(Stage.OUTCOME, channel, "accepted")


TABLE = [
    (0.6, {"x": "ok"}, ["x"], "sent"),
    (0.6, {"x": "bad", "y": "ok"}, ["x", "y"], "sent"),
    (0.6, {"x": "bad", "y": "bad", "z": "ok"}, ["x", "y", "z"], "sent"),
    (0.6, {"x": "bad", "y": "bad", "z": "bad"}, ["x", "y", "z"], "failed"),
    (0.6, {"x": "silent", "y": "ok"}, ["x", "y"], "sent"),
    (0.5, {"x": "ok", "y": "bad"}, ["x", "y"], "sent"),
    (0.5, {"x": "bad", "y": "bad", "z": "ok"}, ["x", "y", "z"], "sent"),
    (0.5, {"x": "bad", "y": "slow"}, ["x", "y"], "sent"),
    (0.1, {"x": "bad", "y": "bad", "z": "ok"}, ["x", "y", "z"], "sent"),
    (0.1, {"x": "ok", "y": "ok", "z": "ok"}, ["x", "y", "z"], "sent"),
    (0.1, {"x": "bad", "y": "bad", "z": "bad"}, ["x", "y", "z"], "failed"),
    (0.0, {"x": "bad", "y": "ok", "z": "bad"}, ["x", "y", "z"], "sent"),
    (1.0, {"x": "bad", "y": "ok"}, ["x", "y"], "sent"),
    (1.0, {"x": "ok"}, ["x"], "sent"),
    (0.6, {"x": "1 ok"}, ["x", "x"], "sent"),
    (0.6, {"x": "2 ok"}, ["x", "x", "x"], "sent"),
    (0.6, {"x": "busy", "y": "ok"}, ["x", "x", "x", "y"], "sent"),
    (0.6, {"x": "bad", "y": "2 ok"}, ["x", "y", "y", "y"], "sent"),
    (0.6, {"x": "busy", "y": "busy", "z": "ok"}, ["x"] * 3 + ["y"] * 3 + ["z"], "sent"),
    (0.6, {"x": "busy", "y": "bad", "z": "busy"}, ["x"] * 3 + ["y"] + ["z"] * 3, "failed"),
    (0.5, {"x": "2 ok", "y": "ok"}, ["x", "y", "x", "x"], "sent"),
    (0.5, {"x": "busy", "y": "ok"}, ["x", "y", "x", "x"], "sent"),
]


@pytest.mark.parametrize(("threshold", "answers", "sent", "status"), TABLE)
def test_routing_truth_table(threshold: float, answers: dict[str, str], sent: list[str], status: str) -> None:
    """Each row of the contract's table sends on the channels it says, in its order, and ends as it says."""
    story = play(threshold, answers)
    assert story.issued() == sent
    assert [final for final, _ in story.completed()] == [status]


def test_always_channels_are_issued_at_once() -> None:
    """With TH 0.5, X and Y are out before anybody answers; Z is not."""
    story = Story(accepted(ID, plan(0.5)))
    assert story.issued() == ["x", "y"]


def test_fallback_waits_for_the_slow_always_channel() -> None:
    """A failed X does not start Z while Y is open."""
    story = Story(accepted(ID, plan(0.5)))
    story.answer(Stage.OUTCOME, "x", "failed", reason=Reason.RECIPIENT_INVALID)
    assert story.issued() == ["x", "y"]
    story.answer(Stage.OUTCOME, "y", "accepted")
    assert story.issued() == ["x", "y"]
    assert story.completed() == [("sent", "")]


def test_open_always_channel_runs_on_after_a_success() -> None:
    """One success does not end the message while another always-channel is out."""
    story = Story(accepted(ID, plan(0.5)))
    story.answer(Stage.OUTCOME, "x", "accepted")
    assert story.completed() == []
    story.answer(Stage.OUTCOME, "y", "failed", reason=Reason.RECIPIENT_INVALID)
    assert story.completed() == [("sent", "")]


def test_equal_weights_keep_the_order_of_the_registry() -> None:
    """Fallbacks of one weight start in the order in which the plan lists them."""
    story = Story(accepted(ID, plan(0.9, {"b": 0.5, "a": 0.5, "top": 0.9})))
    for channel in ("top", "b", "a"):
        story.answer(Stage.OUTCOME, channel, "failed", reason=Reason.RECIPIENT_INVALID)
    assert story.issued() == ["top", "b", "a"]


def test_skipped_channels_count_as_unsuccessful() -> None:
    """An unusable always-channel lets the fallback start at once; with none usable the message fails as no_channel."""
    channels = [plan_channel("x", 0.9, skip="recipient_unknown"), plan_channel("y", 0.5)]
    story = Story(accepted(ID, Plan(expires_at=T0 + 600_000, threshold=0.6, channels=channels)))
    assert story.issued() == ["y"]
    none = [plan_channel("x", 0.9, skip="recipient_unknown")]
    story = Story(accepted(ID, Plan(expires_at=T0 + 600_000, threshold=0.6, channels=none)))
    assert story.completed() == [("failed", "no_channel")]


def test_timeout_falls_back_and_a_late_success_cancels_what_is_queued() -> None:
    """X times out, Y waits in the line; X's late answer makes Y needless."""
    story = Story(accepted(ID, plan(0.6)))
    story.tell(answer(ID, Stage.SENDING, "x", at=story.now))
    story.now += 60_000
    proposal = decide(story.known, story.now, story.now)
    assert [(made.stage, made.channel) for made in proposal] == [(Stage.TIMED_OUT, "x")]
    fold(story.state, answer(ID, Stage.TIMED_OUT, "x", at=story.now), Place(90, story.now))
    assert story.channel("y").phase == Phase.WAITING
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted", at=story.now))
    assert story.completed() == [("sent", "")]
    assert story.issued() == ["x"]


def test_timers_wait_until_the_log_is_read() -> None:
    """A claim lapses, a channel times out and a message expires only as far as facts are known to be read."""
    story = Story(accepted(ID, plan(0.6)))
    due = T0 + HOLD_MS + LAPSE_MS
    assert decide(story.known, due + 1, due - 1) == []
    assert [made.stage for made in decide(story.known, due, due)] == [Stage.LAPSED]


def test_what_was_never_claimed_is_issued_again() -> None:
    """After claim_by + 2 s the same channel gets another attempt, with the same group of tries."""
    story = Story(accepted(ID, plan(0.6)))
    story.look(HOLD_MS + LAPSE_MS)
    assert story.issued() == ["x", "x"]
    assert story.channel("x").try_group == 0


def test_nothing_is_issued_in_the_last_two_seconds() -> None:
    """A message that is two seconds from its expiry is not given to any sink, and expires."""
    story = Story(accepted(ID, plan(0.6, expires_at=T0 + CLAIM_MARGIN_MS)))
    assert story.issued() == []
    story.look(CLAIM_MARGIN_MS)
    assert story.completed() == [("expired", "expired")]


def test_final_within_a_minute_of_expiry() -> None:
    """A claim whose answer never comes ends half a minute after expiry at the latest."""
    channels = {"x": 0.9}
    story = Story(accepted(ID, plan(0.6, channels, expires_at=T0 + 10_000)))
    story.tell(answer(ID, Stage.SENDING, "x", at=story.now))
    story.look(10_000)
    assert story.completed() == []
    story.look(ANSWER_GRACE_MS)
    assert story.completed() == [("failed", "unknown_outcome")]


def test_rejected_is_completed_and_may_be_accepted_later() -> None:
    """A refused id gets its final status; a later accepted one with that id lives on its own."""
    story = Story(rejected(ID, Reason.TOKEN_EXPIRED))
    assert story.completed() == [("rejected", "token_expired")]
    story.tell(accepted(ID, plan(0.6)))
    story.answer(Stage.OUTCOME, "x", "accepted")
    assert story.completed() == [("rejected", "token_expired"), ("sent", "")]


def test_late_receipt_raises_the_final_status() -> None:
    """sent, then delivered, then read: each proof is completed once, and nothing sinks again."""
    story = Story(accepted(ID, plan(0.6)))
    story.answer(Stage.OUTCOME, "x", "accepted")
    for status in ("delivered", "delivered", "read", "failed", "delivered"):
        story.tell(answer(ID, Stage.RECEIPT, "x", 0, status=status, at=story.now))
    assert [status for status, _ in story.completed()] == ["sent", "delivered", "read"]


def test_failed_for_a_definite_reason_absorbs() -> None:
    """What the provider refused for good stays failed, whatever a receipt says later."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    story.answer(Stage.OUTCOME, "x", "failed", reason=Reason.RECIPIENT_INVALID)
    story.tell(answer(ID, Stage.RECEIPT, "x", 0, status="delivered", at=story.now))
    assert story.completed() == [("failed", "recipient_invalid")]


def test_unknown_outcome_is_raised_by_late_evidence() -> None:
    """Failed (unknown_outcome) becomes delivered when a receipt proves it."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    story.tell(answer(ID, Stage.SENDING, "x", at=story.now))
    story.look(60_000)
    story.tell(answer(ID, Stage.RECEIPT, "x", 0, status="delivered", at=story.now))
    assert story.completed() == [("failed", "unknown_outcome"), ("delivered", "")]

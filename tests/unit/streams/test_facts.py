"""Facts: answers, lost answers, receipts, what was deferred or dropped, each as the type's policy wants it."""

from typing import Any, Final

import pytest

from infra.clock import SHANGHAI_MS
from schemas.errors import Reason
from schemas.statuses import Stage
from streams.facts import PAUSE_MS, QUICK_REISSUES
from streams.fold import fold
from streams.message_state import IN_FLIGHT, Phase, Place
from streams.retries import TRIES
from tests.factories import T0, accepted, answer, plan, plan_channel
from tests.story import HOLD_MS, ID, Story, claimed

LONG_MS: Final = 50_000_000


def test_a_claim_in_the_log_wins_over_lapsed() -> None:
    """A claim that stands behind `lapsed` still means that the provider is being called."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    story.now += HOLD_MS + 2_000
    fold(story.state, answer(ID, Stage.LAPSED, "x", at=story.now), Place(50, story.now))
    assert story.channel("x").phase == Phase.WAITING
    fold(story.state, answer(ID, Stage.SENDING, "x"), Place(51, story.now))
    assert story.channel("x").phase == Phase.SENDING


def test_unknown_again_keeps_the_providers_key() -> None:
    """`again`: another attempt of the same group of tries, marked as a possible duplicate."""
    story = claimed("again")
    story.tell(answer(ID, Stage.UNKNOWN, "x"))
    assert story.issued() == ["x", "x"]
    channel = story.channel("x")
    assert (channel.attempt, channel.try_group, channel.possible_duplicate) == (2, 0, True)


def test_unknown_again_ends_with_the_timeout() -> None:
    """The timeout runs from the first claim; what waits to try again ends with it."""
    story = claimed("again")
    story.tell(answer(ID, Stage.UNKNOWN, "x"))
    story.look(60_000)
    assert story.completed() == [("failed", "unknown_outcome")]


def lost(**changes: Any) -> Story:
    """A message whose first call was lost, of a type that calls again; its channel and its life are long."""
    changes = {"on_unknown": "again", "expires_at": T0 + 2 * LONG_MS, **changes}
    story = Story(accepted(ID, plan(0.6, [plan_channel("x", 0.9, timeout_ms=LONG_MS)], **changes)))
    story.answer(Stage.UNKNOWN, "x")
    return story


@pytest.mark.parametrize(("tries", "calls"), [(0, TRIES), (1, 1), (2, 2), (7, 7)])
def test_unknown_again_is_bounded_by_the_plans_tries(tries: int, calls: int) -> None:
    """A provider that cuts every connection is not called without an end: when they are used up, a proof is awaited."""
    story = lost(tries=tries)
    for _ in range(20):
        if story.channel("x").phase in IN_FLIGHT:
            story.answer(Stage.UNKNOWN, "x")
        story.look(400_000)
    assert len(story.issued()) == calls
    assert story.channel("x").phase == Phase.SILENT
    story.look(LONG_MS)
    assert story.completed() == [("failed", "unknown_outcome")]


def test_unknown_again_does_not_spin() -> None:
    """The first repetition goes at once; those after it wait 1, 2, 4 s, a quarter more or less."""
    story = lost()
    for before, pause_ms in enumerate((1_000, 2_000, 4_000), start=2):
        assert len(story.issued()) == before
        story.answer(Stage.UNKNOWN, "x")
        story.look(pause_ms * 3 // 4 - 2)
        assert len(story.issued()) == before
        story.look(pause_ms // 2 + 4)
    assert len(story.issued()) == TRIES


def test_a_repetition_that_falls_into_quiet_hours_waits_for_their_end() -> None:
    """The pause ends in them: it is put off as a whole."""
    minute = (T0 + SHANGHAI_MS) // 60_000 % 1_440 + 1
    story = lost(quiet_from=minute, quiet_until=minute + 60)
    end = T0 - T0 % 60_000 + 61 * 60_000
    story.now = end - 60 * 60_000 - 10
    story.answer(Stage.UNKNOWN, "x")
    assert (story.channel("x").phase, story.channel("x").until) == (Phase.DEFERRED, end)


@pytest.mark.parametrize("policy", ["leave", "query"])
def test_unknown_left_waits_for_the_timeout(policy: str) -> None:
    """`leave` and `query`: no other call; failed when time is up, unless a receipt comes."""
    story = claimed(policy)
    story.tell(answer(ID, Stage.UNKNOWN, "x"))
    assert story.completed() == []
    story.look(59_999)
    assert story.completed() == []
    story.look(1)
    assert story.completed() == [("failed", "unknown_outcome")]
    assert story.issued() == ["x"]


def test_unknown_falls_back_by_policy() -> None:
    """`fall_back`: the channel has failed, the next one starts."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9, "y": 0.5}, on_unknown="fall_back")))
    story.answer(Stage.UNKNOWN, "x")
    assert story.issued() == ["x", "y"]
    assert story.channel("x").reason == Reason.UNKNOWN_OUTCOME


def test_a_proof_of_the_lost_call_stops_the_repetition() -> None:
    """An answer that comes after `unknown` is a fact: what waits to be sent again is not."""
    story = claimed("again", success="delivered")
    fold(story.state, answer(ID, Stage.UNKNOWN, "x"), Place(50, T0))
    assert story.channel("x").phase == Phase.WAITING
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    assert story.issued() == ["x"]
    assert story.channel("x").phase == Phase.TAKEN


def test_success_is_the_level_that_the_policy_wants() -> None:
    """`accepted` is not enough where the policy wants `delivered`; the receipt is."""
    story = claimed(success="delivered")
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    assert story.completed() == []
    story.tell(answer(ID, Stage.RECEIPT, "x", 0, status="delivered"))
    assert story.completed() == [("delivered", "")]


def test_taken_without_the_wanted_proof_times_out() -> None:
    """No receipt until the timeout: failed, unknown outcome."""
    story = claimed(success="delivered")
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    story.look(60_000)
    assert story.completed() == [("failed", "unknown_outcome")]


def test_a_receipt_may_overtake_the_answer() -> None:
    """Delivered before accepted: the level stands, the late answer changes nothing."""
    story = claimed()
    story.tell(answer(ID, Stage.RECEIPT, "x", 0, status="delivered"))
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    assert story.completed() == [("delivered", "")]


def test_a_receipt_of_failure_ends_what_waits_for_proof() -> None:
    """The provider took it, the network refused it: failed for the receipt's reason; a repeat changes nothing."""
    story = claimed(success="delivered")
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    for _ in range(2):
        story.tell(answer(ID, Stage.RECEIPT, "x", 0, status="failed", reason="recipient_unreachable"))
    story.tell(answer(ID, Stage.OUTCOME, "x", status="accepted"))
    assert story.completed() == [("failed", "recipient_unreachable")]


def test_deferred_waits_until_it_may() -> None:
    """A breaker's `deferred` was no try: it is issued again at `until`, and its clock starts anew."""
    story = claimed()
    story.tell(answer(ID, Stage.DEFERRED, "x", until=T0 + 70_000))
    assert story.issued() == ["x"]
    assert (story.channel("x").tries, story.channel("x").deadline) == (0, 0)
    story.look(70_000)
    assert story.issued() == ["x", "x"]


def test_dropped_is_issued_again_at_once_and_then_slower() -> None:
    """What came too late goes back to the line; with clocks that disagree for good it does not spin."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    for _ in range(QUICK_REISSUES):
        story.answer(Stage.DROPPED, "x", reason="too_late")
    assert len(story.issued()) == QUICK_REISSUES + 1
    story.answer(Stage.DROPPED, "x", reason="too_late")
    assert len(story.issued()) == QUICK_REISSUES + 1
    story.look(PAUSE_MS)
    assert len(story.issued()) == QUICK_REISSUES + 2


def test_a_definite_failure_closes_the_group_of_tries() -> None:
    """The next try of a channel that was refused would carry another key, and go to another provider if it can."""
    story = claimed()
    story.tell(answer(ID, Stage.OUTCOME, "x", status="failed", reason="", provider="acme"))
    channel = story.channel("x")
    assert channel.avoid == "acme"
    assert (channel.phase, channel.try_group, channel.reason) == (Phase.FAILED, 1, Reason.UNMAPPED)

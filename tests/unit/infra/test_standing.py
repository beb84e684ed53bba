import random

import pytest

from infra.standing import in_order, standing
from schemas.statuses import Stage
from tests.answers import event, fact


def test_a_message_the_store_never_saw_has_no_standing() -> None:
    """Nothing is invented."""
    assert standing([], []) is None


def test_a_finished_message_stands_as_its_fact_says() -> None:
    """With attempts, latency and when it ended."""
    found = standing([fact(status="sent", channel="sms", attempts=2, latency_ms=1500)], [event(Stage.ACCEPTED)])
    assert found is not None
    assert (found.status, found.is_final, found.channel, found.attempts) == ("sent", True, "sms", 2)
    assert found.finished_at_ms == found.accepted_at_ms + 1500


@pytest.mark.parametrize(
    ("stages", "status"),
    [
        ([Stage.ACCEPTED], "accepted"),
        ([Stage.ACCEPTED, Stage.SKIPPED], "accepted"),
        ([Stage.ACCEPTED, Stage.HELD], "held"),
        ([Stage.ACCEPTED, Stage.ISSUED], "sending"),
        ([Stage.ACCEPTED, Stage.ISSUED, Stage.SENDING, Stage.OUTCOME], "sending"),
        ([Stage.REJECTED], "rejected"),
    ],
)
def test_an_open_message_stands_where_its_last_event_left_it(stages: list[Stage], status: str) -> None:
    """Open, and without a latency."""
    found = standing([], [event(stage, at_ms=number) for number, stage in enumerate(stages)])
    assert found is not None
    assert (found.status, found.is_final, found.latency_ms) == (status, False, None)


def test_a_message_for_a_later_time_is_scheduled_until_it_is_given_out() -> None:
    """By its acceptance, or by a change of its time; sent at once it is only accepted."""
    later = [event(Stage.ACCEPTED, at_ms=1, until_ms=9_000)]
    moved = [*later, event(Stage.RESCHEDULE_REQUESTED, at_ms=5, until_ms=90_000)]
    out = [*later, event(Stage.ISSUED, at_ms=9_001)]
    found = [standing([], events) for events in (later, moved, out)]
    assert [one.status for one in found if one is not None] == ["scheduled", "scheduled", "sending"]


def test_a_refused_request_that_was_mended_is_open_again() -> None:
    """The same id was accepted by a later record: the refusal was final only for the first."""
    events = [event(Stage.REJECTED, at_ms=1, reason="token_expired"), event(Stage.ACCEPTED, at_ms=9)]
    found = standing([fact(status="rejected", reason="token_expired")], events)
    assert found is not None
    assert (found.status, found.is_final, found.reason) == ("accepted", False, "")


def test_a_conflict_after_acceptance_changes_nothing() -> None:
    """The refusal of the second body is in the timeline, not in the standing."""
    events = [event(Stage.ACCEPTED, at_ms=1), event(Stage.REJECTED, at_ms=5, reason="reference_conflict")]
    found = standing([], events)
    assert found is not None
    assert (found.status, found.reason) == ("accepted", "")


def test_a_message_asked_for_again_stands_where_it_stood() -> None:
    """The second acceptance begins nothing, neither before nor after the refusal of a conflict."""
    events = [event(Stage.ACCEPTED, at_ms=1), event(Stage.ISSUED, at_ms=2), event(Stage.ACCEPTED, at_ms=9, until_ms=99)]
    found = standing([], events)
    assert found is not None
    assert found.status == "sending"


def test_the_latest_replay_counts() -> None:
    """A resend has a final status of its own."""
    found = standing([fact(status="failed"), fact(status="delivered", replay_id=3)], [])
    assert found is not None
    assert (found.status, found.replay_id) == ("delivered", 3)


def test_attempts_of_an_open_message_are_its_claims() -> None:
    """A lapsed claim is issued again, but only calls are counted."""
    events = [
        event(Stage.ACCEPTED),
        event(Stage.ISSUED, channel="sms", attempt=1),
        event(Stage.LAPSED, channel="sms", attempt=1),
        event(Stage.ISSUED, channel="sms", attempt=2),
        event(Stage.SENDING, channel="sms", attempt=2),
    ]
    found = standing([], events)
    assert found is not None
    assert found.attempts == 1


def test_within_a_millisecond_the_timeline_follows_what_causes_what() -> None:
    """Clocks of several processes agree only so far."""
    stages = [Stage.ACCEPTED, Stage.ISSUED, Stage.SENDING, Stage.OUTCOME, Stage.COMPLETED]
    shuffled = [event(stage) for stage in stages]
    random.Random(7).shuffle(shuffled)
    assert [one.stage for one in in_order(shuffled)] == stages

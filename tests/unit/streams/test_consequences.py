"""What follows from a conclusion: events with everything a report needs, deliveries, outcomes, announcements."""

import pytest

from schemas import ids
from schemas.codec import DELIVERY, EVENT, OUTCOME
from schemas.records import Delivery, Event, Occurrence, Outcome, Request
from schemas.statuses import Stage
from streams import consequences
from streams.consequences import Author, Onward, Record
from streams.decide import decide
from streams.fold import Effect, fold
from streams.message_state import Phase, Place, pack, unpack
from tests.factories import T0, accepted, answer, plan, plan_channel
from tests.story import ID, Story

AUTHOR = Author("normal", "settle@test")


def done() -> Story:
    """A message that X failed and Y delivered; Z was not needed."""
    story = Story(accepted(ID, plan(0.6, send_at=T0 + 40)))
    story.look(50)
    story.answer(Stage.OUTCOME, "x", "failed", reason="recipient_invalid")
    story.now += 50
    story.answer(Stage.OUTCOME, "y", "accepted")
    return story


def test_completed_carries_what_a_report_needs() -> None:
    """Final channel, calls made, latency since acceptance and since send_at, versions and hashes of that channel."""
    event = done().log[-1]
    assert (event.stage, event.status, event.channel, event.attempts) == (Stage.COMPLETED, "sent", "y", 2)
    assert (event.latency_ms, event.lateness_ms) == (100, 60)
    assert (event.template_version, event.config_version) == (3, 7)
    assert (event.text_hash, event.address_hash) == (b"text-y", b"addr-y")
    assert (event.app_id, event.type, event.accepted_at) == ("his", "lab_report", T0)


def test_a_failed_message_names_the_channel_and_the_reason() -> None:
    """The last one that failed."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    story.answer(Stage.OUTCOME, "x", "failed", reason="billing")
    event = story.log[-1]
    assert (event.status, event.reason, event.channel, event.attempts) == ("failed", "billing", "x", 1)


def test_delivery_follows_from_the_issue() -> None:
    """With the logged claim_by, the provider's key of its group of tries, and the sealed part as it is."""
    story = Story(accepted(ID, plan(0.6)))
    made = consequences.delivery(AUTHOR, ID, story.known, story.channel("x"), b"sealed")
    issued = story.log[-1]
    assert (made.message_id, made.channel, made.attempt) == (ID, "x", 1)
    assert made.claim_by == issued.claim_by == T0 + 30_000
    assert made.provider_key == ids.provider_key(ID, "x", 0, 0)
    assert (made.sealed, made.expires_at, made.accepted_at, made.avoid) == (b"sealed", T0 + 600_000, T0, "")
    story.channel("x").avoid = "acme"
    assert consequences.delivery(AUTHOR, ID, story.known, story.channel("x"), b"").avoid == "acme"


def test_a_fallback_is_announced_with_its_first_attempt() -> None:
    """And with the reason for which it was needed; an always-channel never is."""
    story = done()
    issued = {event.channel: event for event in story.log if event.stage == Stage.ISSUED}
    assert list(consequences.after_issued(AUTHOR, story.known, issued["x"])) == []
    (told,) = consequences.after_issued(AUTHOR, story.known, issued["y"])
    assert (told.stage, told.channel, told.reason) == (Stage.FALLBACK, "y", "recipient_invalid")


def test_unusable_channels_are_announced_at_acceptance() -> None:
    """Each with intake's reason."""
    event = accepted(ID, plan(channels=[plan_channel("x", 0.9, skip="app_disabled"), plan_channel("y", 0.5)]))
    state, _ = fold(None, event, Place(0, T0))
    assert state is not None
    (told,) = consequences.after_accepted(AUTHOR, state, event)
    assert isinstance(told, Event)
    assert (told.stage, told.channel, told.reason) == (Stage.SKIPPED, "x", "app_disabled")


def test_the_cause_of_a_skip_is_announced_whenever_it_is_told() -> None:
    """At once, when it is said again, and beside a withdrawal: the same announcement each time."""
    channels = [plan_channel("x", 0.9, skip="config_missing"), plan_channel("y", 0.5)]
    event = accepted(ID, plan(channels=channels), detail="1/3; x: the channel is not registered; y: nothing")
    state, effect = fold(None, event, Place(0, T0))
    assert state is not None
    state = unpack(pack(state))
    (told,) = consequences.told(AUTHOR, state, event, effect)
    assert isinstance(told, Event)
    assert (told.channel, told.detail) == ("x", "the channel is not registered")
    assert list(consequences.told_again(AUTHOR, state, event, Place(0, T0))) == [told]
    copy = Event(ID, Stage.CANCEL_REQUESTED, status="cancel_requested", at=T0, detail="17")
    state, effect = fold(state, copy, Place(1, T0))
    assert state is not None
    again = [one for one in consequences.told(AUTHOR, state, copy, effect) if isinstance(one, Event)]
    assert [(one.channel, one.detail) for one in again] == [("x", told.detail), ("y", "")]


def test_a_message_that_replaces_another_asks_for_it() -> None:
    """Besides what it says of its own channels, live and when it is said again."""
    event = accepted(ID, plan(supersedes=bytes(range(16))))
    state, effect = fold(None, event, Place(0, T0))
    assert state is not None
    (asked,) = consequences.told(AUTHOR, state, event, effect)
    assert isinstance(asked, Request)
    assert (asked.kind, asked.message_id, asked.app_id) == ("supersede", bytes(range(16)), "his")
    assert list(consequences.told_again(AUTHOR, state, event, Place(0, T0))) == [asked]


def test_withdrawn_channels_are_announced() -> None:
    """Each as skipped, with the reason."""
    copy = Event(ID, Stage.CANCEL_REQUESTED, status="cancel_requested", at=T0, detail="17")
    state, _ = fold(None, accepted(ID, plan()), Place(0, T0))
    state, effect = fold(state, copy, Place(1, T0))
    assert state is not None
    told = list(consequences.told(AUTHOR, state, copy, effect))
    assert [record.stage for record in told if isinstance(record, Event)] == [Stage.SKIPPED] * 3
    assert {record.reason for record in told if isinstance(record, Event)} == {"cancelled_by_sender"}
    assert list(consequences.told_again(AUTHOR, state, copy, Place(1, T0))) == told


def test_the_application_is_told_and_needless_channels_are_announced() -> None:
    """An outcome without personal data, and Z as skipped."""
    story = done()
    outcome, skipped = consequences.after_completed(AUTHOR, story.known, story.log[-1])
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.reference, outcome.channel) == ("sent", "visit-1", "y")
    assert outcome.message_id == ids.show(ID)
    assert isinstance(skipped, Event)
    assert (skipped.stage, skipped.channel) == (Stage.SKIPPED, "z")


def test_a_conflict_is_refused_without_an_end() -> None:
    """A `rejected` event and an outcome for the second request; nothing that completes the first."""
    story = Story(accepted(ID, plan(0.6)))
    other = accepted(ID, plan(0.6, digest=bytes(16), reference="visit-2"), at=T0 + 9)
    assert fold(story.state, other, Place(9, T0))[1] == Effect.CONFLICT
    event, outcome = consequences.after_conflict(AUTHOR, story.known, other)
    assert isinstance(event, Event)
    assert (event.stage, event.status, event.reason) == (Stage.REJECTED, "rejected", "reference_conflict")
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.reason, outcome.reference) == ("rejected", "reference_conflict", "visit-2")
    assert fold(story.state, event, Place(10, T0))[1] == Effect.NONE


def test_a_repeat_is_marked_as_possible_duplicate() -> None:
    """From the issue after a lost answer up to the completed event."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9}, on_unknown="again")))
    story.answer(Stage.UNKNOWN, "x")
    issued = [event for event in story.log if event.stage == Stage.ISSUED]
    assert [event.possible_duplicate for event in issued] == [False, True]
    story.answer(Stage.OUTCOME, "x", "accepted")
    assert story.log[-1].possible_duplicate


@pytest.mark.parametrize(("is_dropped_first", "wanted"), [(False, True), (True, False)])
def test_a_repeat_that_may_still_be_called_is_marked(is_dropped_first: bool, wanted: bool) -> None:
    """The first call is proved while its repeat is with a sink: nobody knows whether that one is called as well."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9}, on_unknown="again")))
    story.answer(Stage.UNKNOWN, "x")
    assert story.channel("x").attempt == 2
    if is_dropped_first:
        story.channel("x").phase = Phase.WAITING
    for level in ("delivered", "read"):
        story.tell(answer(ID, Stage.RECEIPT, "x", status=level))
    completed = [event for event in story.log if event.stage == Stage.COMPLETED]
    assert [event.possible_duplicate for event in completed[-1:]] == [wanted]


def test_everything_made_can_be_encoded() -> None:
    """Every field has the type that its schema wants."""
    story = done()
    records: list[Record] = [event for event in story.log if event.stage != Stage.ACCEPTED]
    records += consequences.after_completed(AUTHOR, story.known, story.log[-1])
    records += consequences.after_conflict(AUTHOR, story.known, accepted(ID, plan(0.6, digest=bytes(16))))
    records.append(consequences.delivery(AUTHOR, ID, story.known, story.channel("y"), b"sealed"))
    for record in records:
        codec = {Event: EVENT, Outcome: OUTCOME, Delivery: DELIVERY}[type(record)]
        assert codec.decode(codec.encode(record)) == record


def test_the_same_conclusion_makes_the_same_event() -> None:
    """Proposed again, it is the same record but for the time: everybody recognises it."""
    story = Story(accepted(ID, plan(0.6, {"x": 0.9})))
    story.tell(answer(ID, Stage.SENDING, "x"))
    late = T0 + 60_000
    (made,) = decide(story.known, late, late)
    first = consequences.conclusion(AUTHOR, ID, story.known, made, late)
    assert first == consequences.conclusion(AUTHOR, ID, story.known, made, late)
    assert (first.stage, first.channel, first.attempt, first.status) == (Stage.TIMED_OUT, "x", 1, "timed_out")


def test_an_acceptance_that_counts_lets_the_later_sendings_follow() -> None:
    """To their own logs; again when it is said again, and never more than the one that counted asked for."""
    further = [Occurrence(T0 + n * 1_000, T0 + n * 2_000, [b""] * 3) for n in (1, 2)]
    event = accepted(ID, plan(later=further))
    state, effect = fold(None, event, Place(0, T0))
    assert state is not None
    followed = list(consequences.told(AUTHOR, state, event, effect))
    assert [one.event.message_id for one in followed if isinstance(one, Onward)] == [
        ids.occurrence(ID, 1),
        ids.occurrence(ID, 2),
    ]
    assert list(consequences.told_again(AUTHOR, state, event, Place(0, T0))) == followed
    longer = accepted(ID, plan(later=[*further, Occurrence(T0 + 9_000, T0 + 9_999, [b""] * 3)]))
    assert fold(state, longer, Place(1, T0)) == (state, Effect.NONE)
    assert len(list(consequences.told_again(AUTHOR, state, longer, Place(1, T0)))) == 2


def test_a_conflicting_request_lets_nothing_follow() -> None:
    """Its sendings are refused with it."""
    event = accepted(ID, plan())
    state, _ = fold(None, event, Place(0, T0))
    assert state is not None
    other = accepted(ID, plan(digest=bytes(16), later=[Occurrence(T0 + 1_000, T0 + 2_000, [b""] * 3)]))
    same, effect = fold(state, other, Place(1, T0))
    assert (same, effect) == (state, Effect.CONFLICT)
    told = [
        *consequences.told(AUTHOR, state, other, effect),
        *consequences.told_again(AUTHOR, state, other, Place(1, T0)),
    ]
    assert not any(isinstance(one, Onward) for one in told)

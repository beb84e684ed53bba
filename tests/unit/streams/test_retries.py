"""When a refused call is made again: by class, within tries, time and expiry; the same for whoever reads the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Stage
from streams import consequences, retries
from streams.consequences import Author
from streams.fold import Effect, fold
from streams.message_state import ChannelState, Phase, Place
from streams.retries import MAX_BACKOFF_MS, TRIES, backoff_ms, next_try, retry_class
from tests.factories import T0, accepted, answer, plan, plan_channel
from tests.story import ID, Story

LONG = 50_000_000


def story(channels: tuple[str, ...] = ("x",), timeout_ms: int = LONG, **changes: object) -> Story:
    """A message whose first channel is out; its channels have that long."""
    made = [
        plan_channel(name, weight, timeout_ms=timeout_ms) for name, weight in zip(channels, (0.9, 0.5), strict=False)
    ]
    return Story(accepted(ID, plan(0.6, made, **{"expires_at": T0 + 2 * LONG, **changes})))


def refuse(told: Story, reason: str = "transient", **changes: object) -> None:
    """The provider refuses the attempt that is out."""
    told.answer(Stage.OUTCOME, "x", "failed", reason=reason, **changes)


@pytest.mark.parametrize("reason", Reason)
def test_the_reason_says_whether_when_the_sink_does_not(reason: Reason) -> None:
    """What may go by itself is tried later; all else ends the channel. What the sink says counts more."""
    passing = {"transient", "rate_limited", "auth_expired", "quota_exhausted", "time_window"}
    assert retry_class(Event(ID, "outcome", reason=reason)) == ("later" if reason in passing else "never")
    assert retry_class(Event(ID, "outcome", reason=reason, retry="once")) == "once"


@given(st.binary(min_size=16, max_size=16), st.integers(1, 40))
def test_back_off_doubles_with_some_jitter(of: bytes, tries: int) -> None:
    """1, 2, 4 ... s up to five minutes, a quarter more or less; the same for the same call."""
    base_ms = min(1_000 * 2 ** (tries - 1), MAX_BACKOFF_MS)
    assert 0.75 * base_ms - 1 <= backoff_ms(of, "x", tries) <= 1.25 * base_ms + 1
    assert backoff_ms(of, "x", tries) == backoff_ms(of, "x", tries)


def test_jitter_spreads_messages() -> None:
    """A thousand refused at once do not come back at once."""
    assert len({backoff_ms(bytes(14) + number.to_bytes(2, "big"), "x", 3) for number in range(1000)}) > 500


def test_the_provider_may_ask_for_longer_but_not_for_less() -> None:
    """Retry-After counts when it is later than the back-off."""
    channel = ChannelState("x", 0.9, 1, LONG, tries=1)
    soon, late = (Event(ID, "outcome", until=until) for until in (T0 + 1, T0 + 90_000))
    assert next_try(channel, soon, Place(1, T0)) == T0 + backoff_ms(ID, "x", 1)
    assert next_try(channel, late, Place(1, T0)) == T0 + 90_000


def test_a_passing_refusal_is_tried_again_with_another_key() -> None:
    """After the back-off, in the next group of tries; a success then is a success."""
    told = story()
    refuse(told)
    channel = told.channel("x")
    assert (channel.phase, channel.until) == (Phase.DEFERRED, T0 + backoff_ms(ID, "x", 1))
    told.look(channel.until - told.now - 1)
    assert told.issued() == ["x"]
    told.look(1)
    assert (told.issued(), channel.attempt, channel.try_group) == (["x", "x"], 2, 1)
    told.answer(Stage.OUTCOME, "x", "accepted")
    assert told.completed() == [("sent", "")]


@pytest.mark.parametrize(("tries", "calls"), [(0, TRIES), (1, 1), (2, 2), (7, 7)])
def test_the_plan_bounds_the_calls(tries: int, calls: int) -> None:
    """Then the channel ends with the last refusal's reason, and the fallback begins."""
    told = story(("x", "y"), tries=tries)
    for _ in range(calls):
        told.look(max(0, told.channel("x").until - told.now) if told.channel("x").phase == Phase.DEFERRED else 0)
        refuse(told)
    assert told.issued() == ["x"] * calls + ["y"]
    assert (told.channel("x").phase, told.channel("x").reason) == (Phase.FAILED, "transient")


def test_once_is_one_more_call() -> None:
    """Whatever was tried before it; the second of its kind ends the channel."""
    told = story()
    for _ in range(2):
        refuse(told)
        told.look(10_000)
    refuse(told, "unmapped", retry="once")
    told.look(10_000)
    assert len(told.issued()) == 4
    refuse(told, "unmapped", retry="once")
    assert told.completed() == [("failed", "unmapped")]


def test_a_refusal_for_good_ends_the_channel() -> None:
    """By its reason, or because the sink says so."""
    for changes in ({"reason": "recipient_invalid"}, {"reason": "transient", "retry": "never"}):
        told = story()
        refuse(told, **changes)
        assert told.completed() == [("failed", changes["reason"])]


def test_no_try_after_the_channels_time() -> None:
    """A Retry-After beyond the timeout is no retry: the fallback begins at once, with the refusal's reason."""
    told = story(("x", "y"), timeout_ms=30_000)
    refuse(told, "rate_limited", until=T0 + 30_000)
    assert told.issued() == ["x", "y"]
    assert told.channel("x").reason == "rate_limited"
    told = story(("x", "y"), timeout_ms=30_000)
    refuse(told, "rate_limited", until=T0 + 29_999)
    assert told.issued() == ["x"]


def test_no_try_in_the_last_seconds_of_the_message() -> None:
    """It could not be claimed any more."""
    told = story(expires_at=T0 + 60_000)
    refuse(told, until=T0 + 58_000)
    assert told.completed() == [("failed", "transient")]


def test_what_waits_for_its_next_try_when_its_time_is_up_failed_as_it_was_refused() -> None:
    """No answer is missing: the outcome is known. With a lost answer before it, it is not."""
    told = story(timeout_ms=30_000)
    refuse(told, until=T0 + 20_000)
    channel = told.channel("x")
    channel.until = T0 + 40_000  # the line was long
    told.look(30_000)
    assert told.completed() == [("failed", "transient")]
    told = story(timeout_ms=30_000, on_unknown="again")
    told.answer(Stage.UNKNOWN, "x")
    refuse(told, until=T0 + 20_000)
    told.channel("x").until = T0 + 40_000
    told.look(30_000)
    assert told.completed() == [("failed", "unknown_outcome")]


def test_a_deferral_between_tries_keeps_the_clock() -> None:
    """The timeout runs from the first call that was made, not from one that was not."""
    told = story(timeout_ms=30_000)
    refuse(told)
    deadline = told.channel("x").deadline
    told.look(2_000)
    told.tell(answer(ID, Stage.SENDING, "x", 2, at=told.now))
    told.tell(answer(ID, Stage.DEFERRED, "x", 2, at=told.now, until=told.now + 500))
    assert (told.channel("x").deadline, told.channel("x").tries) == (deadline, 1)


def test_an_answer_that_stands_twice_counts_once() -> None:
    """Neither a second refusal nor a second claim of the same attempt disturbs the wait."""
    told = story()
    refuse(told)
    before = told.states()
    for stage, status in ((Stage.OUTCOME, "failed"), (Stage.SENDING, "")):
        again = answer(ID, stage, "x", 1, status=status or stage, reason="transient")
        assert fold(told.state, again, Place(90, T0))[1] == Effect.NONE
    assert told.states() == before


def test_a_late_proof_ends_the_wait() -> None:
    """A receipt for the attempt that was refused: the provider had taken it."""
    told = story(("x", "y"))
    refuse(told)
    told.tell(answer(ID, Stage.RECEIPT, "x", 0, status="delivered", at=told.now))
    assert told.completed() == [("delivered", "")]
    assert told.issued() == ["x"]


def test_the_next_try_is_announced_once_it_is_certain() -> None:
    """With reason and moment, also when the refusal was read silently; not any more when it has begun."""
    told = story()
    refuse(told, "rate_limited", until=T0 + 20_000)
    event = told.log[-1]
    author = Author("normal", "settle@test")
    (made,) = consequences.told(author, told.known, event, Effect.RETRIED)
    assert isinstance(made, Event)
    assert (made.stage, made.channel, made.attempt) == (Stage.RETRY_SCHEDULED, "x", 1)
    assert (made.reason, made.until) == ("rate_limited", T0 + 20_000)
    assert list(consequences.told_again(author, told.known, event, Place(3, T0))) == [made]
    told.look(20_000)
    assert list(consequences.told_again(author, told.known, event, Place(3, T0))) == []


def test_fold_says_that_a_retry_was_scheduled() -> None:
    """The effect by which the announcement follows."""
    told = story()
    told.tell(answer(ID, Stage.SENDING, "x"))
    refused = answer(ID, Stage.OUTCOME, "x", status="failed", reason="transient")
    assert fold(told.state, refused, Place(9, T0))[1] == Effect.RETRIED
    assert retries.LATER == "later"

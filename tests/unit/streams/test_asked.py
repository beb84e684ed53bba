"""Withdrawn, superseded, moved: what a request changes at the place where it stands in the log."""

import pytest

from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Stage, Status
from streams.asked import REMEMBERED, answer_to
from streams.fold import Effect, fold
from streams.guard import Verdict, judge
from streams.message_state import MessageState, Phase, Place
from tests.factories import T0, accepted, answer, message_id, plan

ID = message_id(1)
CANCEL, SUPERSEDE, MOVE = Stage.CANCEL_REQUESTED, Stage.SUPERSEDED, Stage.RESCHEDULE_REQUESTED


def asked(stage: str, number: int = 1, until: int = 0) -> Event:
    """The copy of a request."""
    return Event(ID, stage, status=stage, at=T0, detail=f"{number:032x}", until=until)


def told(*events: Event, at: int = T0, **of: object) -> MessageState:
    """The state after an acceptance (x first, then y and z) and these events, all appended at that time."""
    state: MessageState | None = None
    for offset, event in enumerate((accepted(ID, plan(0.6, **of)), *events)):  # type: ignore[arg-type]
        state, _ = fold(state, event, Place(offset, at))
    assert state is not None
    return state


def issued(channel: str = "x", attempt: int = 1) -> Event:
    """An attempt is given to the sinks."""
    return answer(ID, Stage.ISSUED, channel, attempt, claim_by=T0 + 30_000)


def phases(state: MessageState) -> list[int]:
    """Where the channels stand."""
    return [channel.phase for channel in state.channels]


@pytest.mark.parametrize(("stage", "reason"), [(CANCEL, Reason.CANCELLED_BY_SENDER), (SUPERSEDE, Reason.SUPERSEDED)])
def test_what_nobody_was_given_is_cancelled(stage: str, reason: str) -> None:
    """Every channel is skipped with the reason, and the message ends as cancelled."""
    state = told(asked(stage))
    assert phases(state) == [Phase.SKIPPED] * 3
    assert {channel.reason for channel in state.channels} == {reason}
    assert judge(state, T0) == Verdict(Status.CANCELLED, reason)


@pytest.mark.parametrize("end", [Stage.LAPSED, Stage.DROPPED, Stage.DEFERRED])
def test_what_is_issued_is_cancelled_when_nobody_claims_it(end: str) -> None:
    """Not before: until then the sink may still call."""
    state = told(issued(), asked(CANCEL))
    assert (state.channels[0].phase, judge(state, T0)) == (Phase.ISSUED, None)
    state, _ = fold(state, answer(ID, end, "x", at=T0 + 32_000, until=T0 + 90_000), Place(9, T0 + 32_000))  # type: ignore[assignment]
    assert judge(state, T0) == Verdict(Status.CANCELLED, Reason.CANCELLED_BY_SENDER)


def test_a_claim_wins_and_a_success_is_told() -> None:
    """Its call is made; the message is sent, whatever was asked."""
    state = told(issued(), asked(CANCEL), answer(ID, Stage.SENDING, "x"))
    assert (state.channels[0].phase, judge(state, T0)) == (Phase.SENDING, None)
    state, _ = fold(state, answer(ID, Stage.OUTCOME, "x", status="accepted"), Place(9, T0))  # type: ignore[assignment]
    assert judge(state, T0) == Verdict(Status.SENT, "", "x")


def test_a_claim_wins_over_lapsed_also_when_withdrawn() -> None:
    """As long as nothing is final."""
    lapsed = answer(ID, Stage.LAPSED, "x", at=T0 + 32_000)
    state = told(issued(), asked(CANCEL), lapsed, answer(ID, Stage.SENDING, "x"))
    assert state.channels[0].phase == Phase.SENDING


@pytest.mark.parametrize("retry", ["later", "never"])
def test_after_a_refusal_nothing_begins_again(retry: str) -> None:
    """Neither another try nor a fallback; nobody got it, so it is cancelled."""
    refused = answer(ID, Stage.OUTCOME, "x", status="failed", reason="billing", retry=retry)
    state = told(issued(), answer(ID, Stage.SENDING, "x"), asked(CANCEL), refused)
    assert phases(state)[1:] == [Phase.SKIPPED] * 2
    assert judge(state, T0) == Verdict(Status.CANCELLED, Reason.CANCELLED_BY_SENDER)


@pytest.mark.parametrize("on_unknown", ["again", "leave"])
def test_what_may_have_been_sent_is_not_called_cancelled(on_unknown: str) -> None:
    """Its answer was lost: it is not tried again, and ends as unknown at its deadline."""
    lost = (issued(), answer(ID, Stage.SENDING, "x"), answer(ID, Stage.UNKNOWN, "x"))
    state = told(*lost, asked(CANCEL), on_unknown=on_unknown)
    assert (state.channels[0].phase, judge(state, T0)) == (Phase.SILENT, None)
    timed_out = answer(ID, Stage.TIMED_OUT, "x", at=T0 + 60_000)
    state, _ = fold(state, timed_out, Place(9, T0))  # type: ignore[assignment]
    assert judge(state, T0) == Verdict(Status.FAILED, Reason.UNKNOWN_OUTCOME, "x")


def test_a_refusal_after_a_lost_answer_is_not_called_cancelled() -> None:
    """The first call may have reached somebody."""
    first = (issued(), answer(ID, Stage.SENDING, "x"), answer(ID, Stage.UNKNOWN, "x"))
    second = (issued("x", 2), answer(ID, Stage.SENDING, "x", 2))
    refused = answer(ID, Stage.OUTCOME, "x", 2, status="failed", reason="billing")
    state = told(*first, *second, asked(CANCEL), refused, on_unknown="again")
    assert judge(state, T0) == Verdict(Status.FAILED, "billing", "x")


def test_a_message_that_has_failed_by_itself_stays_failed() -> None:
    """There is nothing left that could be kept from happening."""
    refused = answer(ID, Stage.OUTCOME, "x", status="failed", reason="billing")
    state = told(issued(), answer(ID, Stage.SENDING, "x"), refused, asked(CANCEL), channels={"x": 0.9})
    assert judge(state, T0) == Verdict(Status.FAILED, "billing", "x")


def test_the_first_of_two_reasons_counts() -> None:
    """Cancelled, then superseded: cancelled."""
    assert told(asked(CANCEL), asked(SUPERSEDE, 2)).withdrawn == Reason.CANCELLED_BY_SENDER


def test_final_messages_are_left_alone() -> None:
    """A cancel after the end changes nothing; nor does one of a refused message."""
    state = told(asked(CANCEL))
    state, effect = fold(state, Event(ID, Stage.COMPLETED, status="cancelled", at=T0), Place(5, T0))  # type: ignore[assignment]
    assert (effect, state.final, state.final_reason) == (Effect.COMPLETED, "cancelled", "")
    assert fold(state, asked(SUPERSEDE, 2), Place(6, T0))[1] == Effect.NONE


def test_a_message_put_off_waits_and_lives_longer() -> None:
    """Its channels wait until then; the end of its life keeps its distance."""
    state = told(asked(MOVE, until=T0 + 7_000_000))
    assert (state.channels[0].phase, state.channels[0].until) == (Phase.DEFERRED, T0 + 7_000_000)
    assert (state.send_at, state.expires_at) == (T0 + 7_000_000, T0 + 600_000 + 7_000_000)
    assert phases(state)[1:] == [Phase.UNSTARTED] * 2


def test_now_means_where_the_request_stands() -> None:
    """From the due index into the line; the end of its life stays."""
    later = told(at=T0 + 5, send_at=T0 + 500_000)
    assert later.channels[0].phase == Phase.DEFERRED
    state = told(asked(MOVE), at=T0 + 5, send_at=T0 + 500_000)
    assert (state.channels[0].phase, state.send_at, state.expires_at) == (Phase.WAITING, T0 + 5, T0 + 600_000)


def test_quiet_hours_hold_also_for_what_is_moved() -> None:
    """T0 is 06:13 at 14 Nov in UTC+8; quiet from 06:00 to 07:00."""
    state = told(asked(MOVE), send_at=T0 + 5_000_000, quiet_from=360, quiet_until=420)
    assert state.channels[0].phase == Phase.DEFERRED
    assert state.channels[0].until > T0


@pytest.mark.parametrize("before", [(issued(),), (asked(CANCEL, 2),)])
def test_what_was_given_away_is_not_moved(before: tuple[Event, ...]) -> None:
    """Nor what is withdrawn."""
    assert told(*before, asked(MOVE, until=T0 + 7_000_000)).send_at == 0


def test_the_same_request_again_is_no_second_one() -> None:
    """Recognised by its id, also behind others; only the last ones are remembered."""
    state = told(asked(MOVE, 1, T0 + 1_000), asked(MOVE, 2, T0 + 9_000))
    assert fold(state, asked(MOVE, 1, T0 + 1_000), Place(8, T0))[1] == Effect.NONE
    many = told(*(asked(MOVE, number, T0 + number) for number in range(20)))
    assert len(many.requests) == REMEMBERED


@pytest.mark.parametrize(
    ("stage", "events", "said"),
    [
        (CANCEL, (), ("", "")),
        (CANCEL, (issued(),), ("", "")),
        (CANCEL, (issued(), answer(ID, Stage.SENDING, "x")), (Reason.TOO_LATE, "x")),
        (CANCEL, (asked(CANCEL), Event(ID, Stage.COMPLETED, status="cancelled", reason="superseded", at=T0)),
         ("superseded", "")),
        (MOVE, (), ("", "")),
        (MOVE, (issued(),), (Reason.TOO_LATE, "x")),
        (MOVE, (asked(CANCEL),), (Reason.CANCELLED_BY_SENDER, "")),
    ],
)  # fmt: skip
def test_what_can_be_said_at_once(stage: str, events: tuple[Event, ...], said: tuple[str, str]) -> None:
    """Too late and who has it, withdrawn already, or nothing yet."""
    assert answer_to(stage, told(*events)) == said


def test_a_final_message_is_too_late() -> None:
    """With the channel that sent it."""
    done = (issued(), answer(ID, Stage.SENDING, "x"), answer(ID, Stage.OUTCOME, "x", status="accepted"))
    state = told(*done, Event(ID, Stage.COMPLETED, "x", status="sent", at=T0))
    assert answer_to(CANCEL, state) == (Reason.TOO_LATE, "x")

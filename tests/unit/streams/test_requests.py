"""Requests on their way into the log: copied once their message is known, kept for a minute, given up after."""

import pytest
from msgspec import structs

from schemas import ids
from schemas.errors import Reason
from schemas.partitioner import partition_of
from schemas.records import NO_KEY, Event, Occurrence, Request
from schemas.statuses import Stage
from streams.asked import replacing
from streams.consequences import Author
from streams.fold import fold
from streams.message_state import MessageState, Place
from streams.requests import MAX_WAITING, PATIENCE_MS, STALE_MS, Asked, Inbox
from tests.factories import T0, accepted, answer, message_id, plan

ID = message_id(1)
AUTHOR = Author("normal", "test")


def cancel(number: int = 1, **changes: object) -> Request:
    """A wish to take the message back."""
    return Request(number.to_bytes(16, "big"), **{"kind": "cancel", "message_id": ID, "at": T0, **changes})  # type: ignore[arg-type]


def inbox(position: int = 0, of: tuple[int, int] = (0, 1)) -> Inbox:
    """That of the only partition, or of that one of so many."""
    ended: list[str] = []
    return Inbox(AUTHOR, of, position, ended.append)


def state_of(*events: Event) -> MessageState:
    """The message's state after its acceptance and these."""
    state: MessageState | None = None
    for offset, event in enumerate((accepted(ID, plan()), *events)):
        state, _ = fold(state, event, Place(offset, T0))
    assert state is not None
    return state


def copies(box: Inbox, state: MessageState | None, now_ms: int = T0) -> list[Event]:
    """What is copied of everything that is to be looked at."""
    return [copy for of in box.looked() for copy in box.copies(of, state, now_ms)]


def test_a_request_about_a_known_message_is_copied_once() -> None:
    """With its id, its message's frame and the position behind it."""
    box = inbox()
    box.take(Asked(7, T0, cancel()), T0)
    (copy,) = copies(box, state_of(), T0 + 5)
    assert (copy.stage, copy.status, copy.detail) == (Stage.CANCEL_REQUESTED, "cancel_requested", f"{1:032x}")
    assert (copy.message_id, copy.app_id, copy.type, copy.lane, copy.at) == (ID, "his", "lab_report", "normal", T0 + 5)
    assert (box.position, copies(box, state_of())) == (8, [])


def test_what_is_certain_already_is_said() -> None:
    """Too late, and the channel that has it."""
    box = inbox()
    box.take(Asked(0, T0, cancel()), T0)
    issued = answer(ID, Stage.ISSUED, "x", claim_by=T0 + 30_000)
    (copy,) = copies(box, state_of(issued, answer(ID, Stage.SENDING, "x")))
    assert (copy.reason, copy.channel) == (Reason.TOO_LATE, "x")


def test_one_about_an_unknown_message_waits_and_holds_the_position() -> None:
    """When something is read about its message it is looked at again; those behind it need not wait."""
    box = inbox()
    box.take(Asked(0, T0, cancel()), T0)
    assert copies(box, None) == []
    box.take(Asked(1, T0, cancel(2, message_id=message_id(2))), T0)
    assert len(copies(box, state_of())) == 1
    assert box.position == 0
    box.look(message_id(9))
    assert box.looked() == []
    box.look(ID)
    assert len(copies(box, state_of())) == 1
    assert box.position == 2


@pytest.mark.parametrize(("age_ms", "patience_ms"), [(0, PATIENCE_MS), (STALE_MS + 1, 0)])
def test_it_is_given_up_after_a_minute(age_ms: int, patience_ms: int) -> None:
    """An old one, read after a long pause, at once."""
    box = inbox()
    box.take(Asked(0, T0 - age_ms, cancel()), T0)
    box.expire(T0 + patience_ms - 1)
    assert box.position == 0
    box.expire(T0 + patience_ms)
    assert box.position == 1
    box.look(ID)
    assert copies(box, state_of()) == []


def test_not_too_many_wait() -> None:
    """The longest waiting ones give way."""
    box = inbox()
    for offset in range(MAX_WAITING + 3):
        box.take(Asked(offset, T0, cancel(offset)), T0)
    box.expire(T0)
    assert box.position == 3


@pytest.mark.parametrize(
    "changes",
    [{"kind": "resend"}, {"lane": "urgent"}, {"message_id": NO_KEY}],
)
def test_what_is_not_for_this_partition_is_passed_by(changes: dict[str, object]) -> None:
    """Other kinds, other lanes, nobody's."""
    box = inbox()
    box.take(Asked(0, T0, structs.replace(cancel(), **changes)), T0)
    box.take(Asked(1, T0, None), T0)
    assert (box.looked(), box.position) == ([], 2)


def test_only_the_owner_of_the_partition_takes_it() -> None:
    """One of four."""
    boxes = [inbox(0, (number, 4)) for number in range(4)]
    for box in boxes:
        box.take(Asked(0, T0, cancel()), T0)
    assert [bool(box.looked()) for box in boxes].index(True) == partition_of(ID, 4)


def test_another_application_may_not_ask() -> None:
    """Its own may, and an operator, who names none."""
    for app_id, count in (("lis", 0), ("his", 1), ("", 1)):
        box = inbox()
        box.take(Asked(0, T0, cancel(app_id=app_id)), T0)
        assert len(copies(box, state_of())) == count
        assert box.position == 1


def test_a_repeat_is_not_copied_again() -> None:
    """Read again after a restart: its copy stands in the log; what lies before the position is not taken."""
    box = inbox(5)
    copied = Event(ID, Stage.CANCEL_REQUESTED, status="cancel_requested", at=T0, detail=f"{1:032x}")
    box.take(Asked(4, T0, cancel(9)), T0)
    box.take(Asked(5, T0, cancel(1)), T0)
    assert copies(box, state_of(copied)) == []
    assert box.position == 6


def test_a_receipt_keeps_its_words() -> None:
    """Level, channel, reason, provider, its code; a time belongs to a change of time."""
    box = inbox()
    found = cancel(
        kind="receipt",
        channel="x",
        status="failed",
        reason="recipient_unreachable",
        provider="aliyun",
        detail="attempt=2 code=X",
    )
    box.take(Asked(0, T0, found), T0)
    box.take(Asked(1, T0, cancel(2, kind="reschedule", send_at=T0 + 9)), T0)
    receipt, moved = copies(box, state_of())
    assert (receipt.stage, receipt.channel, receipt.attempt) == (Stage.RECEIPT, "x", 2)
    assert (receipt.status, receipt.reason, receipt.provider) == ("failed", "recipient_unreachable", "aliyun")
    assert (receipt.provider_code, moved.provider_code) == ("X", "")
    assert (moved.stage, moved.until) == (Stage.RESCHEDULE_REQUESTED, T0 + 9)


def test_a_message_that_replaces_another_asks_for_it() -> None:
    """In its application's name, with an id that is always the same; not about itself, nor when it replaces none."""
    older = message_id(2)
    made = replacing(accepted(ID, plan(supersedes=older)))
    assert made is not None
    assert (made.kind, made.message_id, made.app_id, made.at) == ("supersede", older, "his", T0)
    assert made == replacing(accepted(ID, plan(supersedes=older)))
    other = replacing(accepted(older, plan(supersedes=message_id(3))))
    assert other is not None
    assert other.request_id != made.request_id
    assert replacing(accepted(ID, plan(supersedes=ID))) is replacing(accepted(ID, plan())) is None


def test_taking_back_a_message_that_repeats_is_asked_of_its_later_sendings() -> None:
    """Each once; also when its own copy stands in the log already, and when it is final itself."""
    further = [Occurrence(T0 + n * 1_000, T0 + n * 2_000, [b""] * 3) for n in (1, 2)]
    state, _ = fold(None, accepted(ID, plan(later=further)), Place(0, T0))
    assert state is not None
    box = inbox()
    box.take(Asked(0, T0, cancel()), T0)
    (copy,) = copies(box, state)
    asked = box.further()
    assert [one.message_id for one in asked] == [ids.occurrence(ID, 1), ids.occurrence(ID, 2)]
    assert box.further() == []
    fold(state, copy, Place(1, T0))
    again = inbox()
    again.take(Asked(0, T0, cancel()), T0)
    assert (copies(again, state), again.further()) == ([], asked)
    state.final = "sent"
    late = inbox()
    late.take(Asked(1, T0, cancel(2)), T0)
    assert [one.reason for one in copies(late, state)] == [Reason.TOO_LATE]
    assert len(late.further()) == 2


def test_who_may_not_take_it_back_may_not_take_the_later_ones_back() -> None:
    """Another application's wish changes nothing."""
    further = [Occurrence(T0 + 1_000, T0 + 2_000, [b""] * 3)]
    state, _ = fold(None, accepted(ID, plan(later=further)), Place(0, T0))
    box = inbox()
    box.take(Asked(0, T0, cancel(app_id="pacs")), T0)
    assert (copies(box, state), box.further()) == ([], [])

"""Dead letters as cases: each once, with the newest decision, chosen by what an SRE knows of them."""

from pathlib import Path

import pytest

from infra.clock import HandClock
from infra.crypto import Ring
from infra.dead import DeadOffice
from infra.dead_letters import (
    Selection,
    bare_name,
    cases,
    chosen,
    content_of,
    is_message,
    letter_in,
    marks_in,
    may_return,
    place_of,
)
from infra.kafka import LogRecord
from infra.settings import Settings
from schemas.codec import DEAD_LETTER, DEAD_MARK
from schemas.errors import Reason
from schemas.records import DeadLetter, DeadMark

RING = Ring("dead", {1: bytes(range(32))})


def settings(namespace: str = "") -> Settings:
    """Settings that reach nothing."""
    return Settings(home=Path("/nowhere"), kafka="127.0.0.1:1", namespace=namespace)


def letter(offset: int, topic: str = "messages.normal", reason: str = "decode_error", at: int = 0) -> DeadLetter:
    """The letter of one record."""
    return DeadLetter(reason, "no value", topic, 1, offset, 500, "intake@a:1", at or offset)


def test_a_letter_written_twice_is_one_case() -> None:
    """Its writer was killed before it committed."""
    found = cases([letter(5), letter(3), letter(5)], [])
    assert [(case.origin, case.standing) for case in found] == [
        ("messages.normal/1/3", "waiting"),
        ("messages.normal/1/5", "waiting"),
    ]


def test_bytes_that_are_no_letter_hide_nothing() -> None:
    """They are a case of their own, with the place where they stand, and can be put aside like any other."""
    good, bad = (
        LogRecord("dead", 2, at, 700, b"", value, ()) for at, value in ((7, DEAD_LETTER.encode(letter(3))), (8, b"x"))
    )
    found = cases(map(letter_in, (bad, good)), [mark for one in (bad, good) for mark in marks_in(one)])
    assert [(case.origin, case.letter.reason) for case in found] == [
        ("messages.normal/1/3", "decode_error"),
        ("dead/2/8", "decode_error"),
    ]
    assert found[1].letter.detail
    assert not may_return(found[1], settings())


def test_a_mark_is_read() -> None:
    """As it was written."""
    mark = DeadMark("messages.normal/1/3", "dropped", "a", 10)
    assert marks_in(LogRecord("dead.marks", 0, 1, 700, b"", DEAD_MARK.encode(mark), ())) == [mark]


def test_the_newest_decision_counts() -> None:
    """In whatever order the decisions are read."""
    origin = place_of(letter(3))
    marks = [DeadMark(origin, "redriven", "b", 20), DeadMark(origin, "dropped", "a", 10)]
    (case,) = cases([letter(3)], marks)
    assert (case.standing, case.mark.by) == ("redriven", "b")


@pytest.mark.parametrize(
    ("by", "offsets"),
    [
        (Selection(), [1, 2, 3]),
        (Selection(reason="internal"), [2]),
        (Selection(topic="events."), [3]),
        (Selection(since_ms=2), [2, 3]),
        (Selection(origins=("messages.normal/1/1",)), [1]),
        (Selection(standing="dropped"), [1]),
        (Selection(standing="waiting", topic="messages."), [2]),
    ],
)
def test_cases_are_chosen_by_what_is_known_of_them(by: Selection, offsets: list[int]) -> None:
    """Reason, topic, time, standing, or by name."""
    letters = [letter(1), letter(2, reason="internal"), letter(3, topic="events.urgent")]
    found = chosen(cases(letters, [DeadMark(place_of(letter(1)), "dropped", "a", 9)]), by, settings())
    assert [case.letter.origin_offset for case in found] == offsets


def test_only_records_of_the_platform_s_own_path_may_return() -> None:
    """What the registry or the requests hold is made again by whoever wrote it."""
    (own,) = cases([letter(1, topic="hospital.deliveries.sms.bulk")], [])
    (other,) = cases([letter(1, topic="hospital.config.types")], [])
    assert may_return(own, settings("hospital"))
    assert not may_return(own, settings())
    assert not may_return(other, settings("hospital"))


def test_messages_are_told_from_what_we_wrote_ourselves() -> None:
    """Only a message is judged again as it was first."""
    (message,) = cases([letter(1, topic="h.messages.bulk")], [])
    (event,) = cases([letter(1, topic="h.events.bulk")], [])
    assert is_message(message, settings("h"))
    assert not is_message(event, settings("h"))
    assert bare_name("h.messages.bulk", settings("h")) == "messages.bulk"


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        """Keep one record."""
        self.values.append(value or b"")


def test_a_letter_gives_the_whole_record_back() -> None:
    """Key, value and headers as they were."""
    sent = Sent()
    record = LogRecord("messages.normal", 1, 7, 500, b"k", b"v", (("authorization", b"t"),))
    DeadOffice("dead", RING, HandClock(9), "w").bury(sent, record, Reason.INTERNAL, "")
    (case,) = cases([DEAD_LETTER.decode(sent.values[0])], [])
    content = content_of(case, RING, settings())
    assert (content.key, content.value, content.headers) == (b"k", b"v", [("authorization", b"t")])

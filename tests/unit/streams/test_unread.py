"""Unread conclusions: one per message and channel, a final one alone, read back whoever appended it."""

from schemas.statuses import Stage
from streams.decide import Conclusion
from streams.unread import Unread
from tests.factories import answer, message_id

ID = message_id(1)
ISSUED = Conclusion(Stage.ISSUED, "x", 1)
FINAL = Conclusion(Stage.COMPLETED, "x", status="sent")


def test_one_conclusion_per_channel() -> None:
    """An unread one blocks its channel and the end of the message, not another channel nor another message."""
    unread = Unread()
    unread.add(ID, ISSUED)
    assert unread.blocks(ID, Conclusion(Stage.LAPSED, "x", 1))
    assert unread.blocks(ID, FINAL)
    assert not unread.blocks(ID, Conclusion(Stage.ISSUED, "y", 1))
    assert not unread.blocks(message_id(2), ISSUED)


def test_an_end_blocks_everything() -> None:
    """While a final status is unread, nothing else of the message is proposed."""
    unread = Unread()
    unread.add(ID, FINAL)
    assert unread.blocks(ID, ISSUED)
    assert unread.blocks(ID, FINAL)
    assert unread.holds(ID, "y")


def test_read_back_it_is_free_again() -> None:
    """By stage, channel and attempt; of a final one by its status."""
    unread = Unread()
    unread.add(ID, ISSUED)
    assert not unread.read(answer(ID, Stage.ISSUED, "x", 2))
    assert not unread.read(answer(ID, Stage.SENDING, "x", 1))
    assert unread.read(answer(ID, Stage.ISSUED, "x", 1))
    assert not unread.read(answer(ID, Stage.ISSUED, "x", 1))
    assert not unread.blocks(ID, ISSUED)
    unread.add(ID, FINAL)
    assert not unread.read(answer(ID, Stage.COMPLETED, "x", 0, status="failed"))
    assert unread.read(answer(ID, Stage.COMPLETED, "x", 0, status="sent"))


def test_unread_issues_are_counted_by_channel() -> None:
    """They count against the window."""
    unread = Unread()
    unread.add(ID, ISSUED)
    unread.add(message_id(2), ISSUED)
    assert unread.issues["x"] == 2
    unread.read(answer(ID, Stage.ISSUED, "x", 1))
    assert unread.issues["x"] == 1

"""Conclusions that were appended and have not been read back yet, of one partition.

Used by `partition`: of each message and channel at most one is unread at a time, and a final one only when nothing is.
Only memory: what a dead process had not read back, its successor reads. Never part of the state.
"""

from collections import Counter
from typing import Final

from schemas.records import Event
from schemas.statuses import Stage
from streams.decide import Conclusion

OWN: Final = frozenset({Stage.ISSUED, Stage.LAPSED, Stage.TIMED_OUT, Stage.HELD, Stage.DEFERRED, Stage.COMPLETED})
"""Stages that settle itself concludes."""
_ISSUED: Final[str] = Stage.ISSUED
_COMPLETED: Final[str] = Stage.COMPLETED
_WHOLE: Final = ""
"""In place of the channel: about the message as a whole."""

Mark = tuple[str, int | str]


class Unread:
    """What is unread, by message and channel; and how many issues, by channel."""

    def __init__(self) -> None:
        self._marks: dict[bytes, dict[str, Mark]] = {}
        self.issues: Counter[str] = Counter()

    def add(self, message_id: bytes, made: Conclusion) -> None:
        """It is being appended."""
        slot, mark = _mark(made.stage, made.channel, made.attempt, made.status)
        self._marks.setdefault(message_id, {})[slot] = mark
        if made.stage == _ISSUED:
            self.issues[made.channel] += 1

    def read(self, event: Event) -> bool:
        """Whether this event is one that was unread, whoever appended it; it is unread no longer."""
        marks = self._marks.get(event.message_id)
        if marks is None or event.stage not in OWN:
            return False
        slot, mark = _mark(event.stage, event.channel, event.attempt, event.status)
        if marks.get(slot) != mark:
            return False
        del marks[slot]
        if not marks:
            del self._marks[event.message_id]
        if event.stage == _ISSUED:
            self.issues[event.channel] -= 1
        return True

    def blocks(self, message_id: bytes, made: Conclusion) -> bool:
        """Whether that conclusion has to wait."""
        is_whole = made.stage == _COMPLETED and message_id in self._marks
        return is_whole or self.holds(message_id, made.channel)

    def holds(self, message_id: bytes, channel: str) -> bool:
        """Whether something about that channel, or about the whole message, is unread."""
        marks = self._marks.get(message_id)
        return marks is not None and (channel in marks or _WHOLE in marks)


def _mark(stage: str, channel: str, attempt: int, status: str) -> tuple[str, Mark]:
    """Where a conclusion is remembered, and as what."""
    return (_WHOLE, (stage, status)) if stage == _COMPLETED else (channel, (stage, attempt))

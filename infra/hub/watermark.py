"""The contiguous watermark: how far a partition may be committed, whatever the order in which its chunks finish.

Pure and single-threaded. The consumer opens a ticket for every chunk before it is delivered, the agents finish it
after its output is acknowledged. Nothing else moves a mark, and never past an unfinished record.
"""

from collections import deque
from typing import Final, NamedTuple


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Ticket:
    """One delivered chunk: its partition, the offset after its last record, and how many agents still owe it."""

    __slots__ = ("epoch", "next_offset", "opened_s", "owed", "tp")

    def __init__(self, tp: Place, next_offset: int, owed: int, epoch: object, opened_s: float) -> None:
        self.tp: Final = tp
        self.next_offset: Final = next_offset
        self.owed = owed
        self.epoch: Final = epoch
        self.opened_s: Final = opened_s


class Watermark:
    """Open tickets and marks of all partitions of one assignment.

    An assignment is an epoch: `reset` begins a new one, and tickets of the old one no longer count.
    """

    def __init__(self) -> None:
        self.epoch = object()
        self._open: dict[Place, deque[Ticket]] = {}
        self._marks: dict[Place, int] = {}

    def reset(self) -> None:
        """Forget everything: the partitions were taken away, or are read again from what is committed."""
        self.epoch = object()
        self._open = {}
        self._marks = {}

    def open(self, tp: Place, next_offset: int, owed: int, now_s: float) -> Ticket:
        """Note a chunk that is about to be delivered to `owed` agents; chunks of a partition come in offset order."""
        ticket = Ticket(tp, next_offset, owed, self.epoch, now_s)
        self._open.setdefault(tp, deque()).append(ticket)
        return ticket

    def finish(self, ticket: Ticket) -> bool:
        """One agent is done with it; True when it was the last one and the assignment is still the same."""
        if ticket.epoch is not self.epoch:
            return False
        ticket.owed -= 1
        if ticket.owed > 0:
            return False
        waiting = self._open[ticket.tp]
        while waiting and waiting[0].owed <= 0:
            self._marks[ticket.tp] = waiting.popleft().next_offset
        return True

    def depth(self, tp: Place) -> int:
        """Chunks of a partition that were delivered and do not yet lie behind its mark."""
        waiting = self._open.get(tp)
        return len(waiting) if waiting else 0

    def mark(self, tp: Place) -> int | None:
        """The offset to commit for a partition, None while nothing of it is finished."""
        return self._marks.get(tp)

    def marked(self) -> list[Place]:
        """Partitions that have a mark."""
        return list(self._marks)

    def unfinished(self) -> list[Ticket]:
        """The oldest ticket of every partition that has one."""
        return [waiting[0] for waiting in self._open.values() if waiting]

"""What an agent is handed: consecutive records of one partition, and whether they are still ours to handle.

Made by the consumer, read by agents. Knows nothing of Faust.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from infra.hub.watermark import Place, Ticket
from infra.record import Record

TP: TypeAlias = Place


class Owner(Protocol):
    """Who delivered a chunk: the consumer, as far as a chunk needs it."""

    @property
    def epoch(self) -> object:
        """Identity of the current assignment."""
        ...

    @property
    def is_flowing(self) -> bool:
        """False while partitions are being taken away, and while stopping."""
        ...


class Chunk(list[Record]):
    """Consecutive records of one partition, in offset order."""

    __slots__ = ("_owner", "ticket")

    def __init__(self, records: Sequence[Record], ticket: Ticket, owner: Owner) -> None:
        super().__init__(records)
        self.ticket = ticket
        self._owner = owner

    @property
    def tp(self) -> TP:
        """Topic and partition of all its records."""
        return self.ticket.tp

    @property
    def is_stale(self) -> bool:
        """The partition is being taken away, or was, or the worker stops: begin nothing new."""
        return self.ticket.epoch is not self._owner.epoch or not self._owner.is_flowing

    @property
    def is_given_up(self) -> bool:
        """The partition was taken away: not even what was claimed may be begun. The next owner answers for it."""
        return self.ticket.epoch is not self._owner.epoch

    def alone(self, record: Record) -> "Chunk":
        """A chunk of only one of its records, sharing its fate."""
        return Chunk([record], self.ticket, self._owner)

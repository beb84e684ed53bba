"""How many messages are open in a partition, by application, and how many attempts are in flight and were issued.

Kept by `partition` while it reads, written with its checkpoint, so that the counts are exact after a restart without
looking at a million rows. It counts what `fold` has accepted and decides nothing.
"""

from collections import Counter

from msgspec import Struct, field

from infra.state import Store
from streams.keys import Keys
from streams.message_state import IN_FLIGHT, MessageState
from streams.rows import decode_row

Pair = tuple[str, str]
"""Channel and application."""


class Counts(Struct, array_like=True):
    """What a checkpoint keeps: open messages by application, and attempts in flight as (channel, application, n)."""

    open: dict[str, int] = field(default_factory=dict)
    in_flight: list[tuple[str, str, int]] = field(default_factory=list)


class Census:
    """The counts of one partition; `issued` only since this process reads it live."""

    def __init__(self, counts: Counts) -> None:
        self.open: Counter[str] = Counter(counts.open)
        self.in_flight: Counter[Pair] = Counter({(channel, app): n for channel, app, n in counts.in_flight})
        self.issued: Counter[Pair] = Counter()

    def add(self, state: MessageState, by: int = 1) -> None:
        """The message is counted from now on (`by` -1: no longer), if it is open."""
        self.open[state.app_id] += by * is_open(state)

    def end(self, state: MessageState) -> None:
        """A message that was open is final."""
        self.open[state.app_id] -= not state.refused

    def counts(self) -> Counts:
        """For the checkpoint; nothing that is zero."""
        flights = sorted((*pair, count) for pair, count in self.in_flight.items() if count)
        return Counts({app: count for app, count in self.open.items() if count}, flights)


def is_open(state: MessageState) -> bool:
    """Whether the message was accepted and is not final."""
    return not state.final and not state.refused


def recounted(store: Store, keys: Keys) -> Counts:
    """The same from the rows themselves: for a checkpoint of an earlier release, and to prove the counts."""
    census = Census(Counts())
    for _, value in store.iterate(*keys.states):
        state = decode_row(value).state
        census.add(state)
        for channel in state.channels:
            census.in_flight[channel.channel, state.app_id] += channel.phase in IN_FLIGHT
    return census.counts()

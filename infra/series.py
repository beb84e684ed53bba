"""Which sendings belong together, from what the trace says of one of them. Pure.

Called by `medpost messages` and the HTTP gateway with a message's timeline. The remark on its acceptance is written by
intake (`infra.remark`); it never asks anything itself.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from infra.queries import TraceEvent
from infra.remark import place_in
from schemas import ids
from schemas.statuses import Stage

_PLACE: Final = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)(?: of ([0-9a-f-]{36}))?")


class Series(Struct, frozen=True):
    """The id of the first sending, and how many there are."""

    first: str
    sendings: int

    def ids(self) -> Iterator[str]:
        """The id of every sending, in order."""
        raw = ids.parse(self.first)
        yield self.first
        for number in range(1, self.sendings):
            yield ids.show(ids.occurrence(raw, number))


def series_of(message_id: str, timeline: Sequence[TraceEvent]) -> Series | None:
    """What a message's acceptance says about its series; None when it does not repeat."""
    for event in timeline:
        match = _PLACE.fullmatch(place_in(event.detail)) if event.stage == Stage.ACCEPTED else None
        if match is not None:
            return Series(match[3] or message_id, int(match[2]))
    return None

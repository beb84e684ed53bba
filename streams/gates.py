"""Channels on which nobody can be reached at present, in one partition: closed by what sinks say, opened by a probe.

Used by `issuing`. Only memory, and only from reading live: a successor learns it with its first delivery. While a
channel is closed nothing is issued to it, so what waits costs nothing.
"""

from typing import Final

from msgspec import Struct

from schemas.errors import Reason
from schemas.records import Event
from schemas.statuses import Stage, Status
from streams.facts import DOWN_SCOPES

MAX_CLOSED_MS: Final = 300_000
"""A probe at least so often, whatever was said: a quota may be raised before its day is over."""
SHORTEST_MS: Final = 1_000
"""A channel that is said to be down until a moment that is past, or that is held by hand, is left alone so long."""

_DEFERRED: Final[str] = Stage.DEFERRED
_OUTCOME: Final[str] = Stage.OUTCOME


class Gate(Struct, frozen=True):
    """A closed channel: until when nothing is issued, and the sinks' reason."""

    until: int
    reason: str


class Gates:
    """The closed channels."""

    def __init__(self) -> None:
        self.closed: dict[str, Gate] = {}
        """How they are closed, by channel."""

    def mind(self, event: Event, appended_at: int) -> bool:
        """Learn from a sink's answer that was just read; whether the channel is open again by it."""
        is_down = event.scope in DOWN_SCOPES
        if event.stage == _DEFERRED and is_down:
            said = 0 if event.reason == Reason.HELD else event.until
            until = min(max(said, appended_at + SHORTEST_MS), appended_at + MAX_CLOSED_MS)
            self.closed[event.channel] = Gate(until, event.reason)
        elif event.stage == _OUTCOME and not (is_down and event.status == Status.FAILED):
            return self.closed.pop(event.channel, None) is not None
        return False

    def probe_all(self, now_ms: int) -> None:
        """Whatever was said, the closed channels may be tried from now on."""
        for channel, gate in self.closed.items():
            self.closed[channel] = Gate(min(gate.until, now_ms), gate.reason)

"""One message through fold and decide, with a log and a clock turned by hand; no disk, no Kafka, no window.

Used by the tests of settle's pure core: tell it what happened, look what settle concluded.
"""

from typing import Final

from schemas.records import Event
from schemas.statuses import Stage
from streams.consequences import Author, conclusion
from streams.decide import Conclusion, decide, issue
from streams.fold import fold
from streams.message_state import ChannelState, MessageState, Phase, Place, find
from tests.factories import T0, accepted, answer, message_id, plan, plan_channel

ID: Final = message_id(1)
HOLD_MS: Final = 30_000


class Story:
    """One message, its log and a clock turned by hand: everything settle would append is appended at once."""

    def __init__(self, first: Event) -> None:
        self.now = T0
        self.log: list[Event] = []
        self.state: MessageState | None = None
        self.tell(first)

    @property
    def known(self) -> MessageState:
        """The state; there is one."""
        assert self.state is not None
        return self.state

    def tell(self, event: Event) -> None:
        """Append an event, and all that settle concludes from it."""
        self._append(event)
        self.look()

    def _append(self, event: Event) -> None:
        self.log.append(event)
        self.state, _ = fold(self.state, event, Place(len(self.log), self.now))

    def look(self, after_ms: int = 0) -> None:
        """Let time pass, then conclude until nothing new follows."""
        self.now += after_ms
        made = True
        while made:
            made = False
            for proposal in self.proposals():
                before = self.states()
                self._append(conclusion(Author("normal", "test"), ID, self.known, proposal, self.now))
                made = made or before != self.states()

    def states(self) -> str:
        """The state as a text to compare."""
        return repr(self.state)

    def proposals(self) -> list[Conclusion]:
        """What settle would append now, with room everywhere."""
        if self.state is None:
            return []
        issues = [issue(self.state, channel, self.now, HOLD_MS) for channel in self.state.channels]
        return [*decide(self.state, self.now, self.now), *(one for one in issues if one is not None)]

    def answer(self, stage: str, channel: str, status: str = "", **changes: object) -> None:
        """A sink's event about the last attempt on a channel, with its claim before it."""
        found = self.channel(channel)
        attempt = found.attempt
        if found.phase == Phase.ISSUED and stage in (Stage.OUTCOME, Stage.UNKNOWN):
            self.tell(answer(ID, Stage.SENDING, channel, attempt, at=self.now))
        self.tell(answer(ID, stage, channel, attempt, at=self.now, status=status or stage, **changes))

    def channel(self, name: str) -> ChannelState:
        """One of its channels."""
        found = find(self.known, name)
        assert found is not None
        return found

    def issued(self) -> list[str]:
        """Channels in the order in which they were issued."""
        return [event.channel for event in self.log if event.stage == Stage.ISSUED]

    def completed(self) -> list[tuple[str, str]]:
        """Final statuses with their reasons."""
        return [(event.status, event.reason) for event in self.log if event.stage == Stage.COMPLETED]


def claimed(on_unknown: str = "leave", **changes: object) -> Story:
    """A message on one channel, claimed and not answered."""
    channel = plan_channel("x", 0.9, **changes)
    story = Story(accepted(ID, plan(0.6, on_unknown=on_unknown, channels=[channel])))
    story.tell(answer(ID, Stage.SENDING, "x"))
    return story

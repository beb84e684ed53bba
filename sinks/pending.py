"""Which sent messages still wait for a receipt, when to ask for it, and which message a provider's id belongs to.

Fed by the receipts role with deliveries and events as they stand in the log, in any order between the two; so after a
restart the last hours of the log make the same book again. Pure: the moment is handed in. It forgets what is told,
what has been asked often enough, and the oldest where there is too much.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from schemas.records import Delivery, Event
from schemas.statuses import LEVEL_RANK, Stage, Status

ASK_AFTER_MS: Final = (3_000, 10_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000)
"""When a message is asked about, counted from the answer to the call: most receipts come within seconds."""
UNANSWERED_MS: Final = 180_000
"""A delivery whose call has not been told of by then is forgotten: it cannot be claimed any more."""
MOST_IDS: Final = 300_000
"""Provider ids that are remembered, some 100 MB; a vendor's receipts come within 72 hours, nearly all in minutes."""

MOST_SENT: Final = 50_000
"""Attempts that are asked about at the same time, each with its sealed part: some 50 MB."""
RANKS: Final = {str(level): rank for level, rank in LEVEL_RANK.items()}

Attempt: TypeAlias = tuple[bytes, str, int, int]
"""Message id, channel, attempt, replay id."""
Wanted: TypeAlias = Callable[[str, str], str]
"""The level that counts as success for (message type, channel); "" where nothing is known."""


class Sent(Struct):
    """One attempt that wants a receipt; `delivery` None until it has been read."""

    attempt: Attempt
    provider: str
    provider_message_id: str
    at_ms: int
    asked: int = 0
    delivery: Delivery | None = None


class Pending:
    """The book of one process, of all lanes; only what went over `asked` (channel, provider) is asked about."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.asked: frozenset[tuple[str, str]] = frozenset()
        self._deliveries: OrderedDict[Attempt, tuple[int, Delivery]] = OrderedDict()
        self._providers: OrderedDict[Attempt, tuple[int, str]] = OrderedDict()
        self._sent: dict[Attempt, Sent] = {}
        self._of_message: dict[tuple[bytes, str], list[Attempt]] = {}
        self._due: list[tuple[int, Attempt]] = []
        self._ids: OrderedDict[tuple[str, str], tuple[bytes, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sent)

    # -- what the log says

    def learn_delivery(self, delivery: Delivery, at_ms: int) -> None:
        """An attempt that was given to the sinks at that moment: its sealed part may be needed to ask."""
        key = (delivery.message_id, delivery.channel, delivery.attempt, delivery.replay_id)
        sent = self._sent.get(key)
        if sent is not None:
            sent.delivery = delivery
        elif any(channel == delivery.channel for channel, _ in self.asked):
            self._deliveries[key] = (at_ms, delivery)

    def learn_event(self, event: Event, at_ms: int) -> None:
        """Something that happened to a message: a claim, an answer, a receipt, its end."""
        key = (event.message_id, event.channel, event.attempt, event.replay_id)
        if event.stage == Stage.SENDING:
            self._providers[key] = (at_ms, event.provider)
        elif event.stage == Stage.UNKNOWN:
            provider = event.provider or self._providers.pop(key, (0, ""))[1]
            self._note(Sent(key, provider, "", at_ms))
        elif event.stage == Stage.OUTCOME:
            self._providers.pop(key, None)
            self._learn_outcome(key, event, at_ms)
        elif event.stage == Stage.RECEIPT:
            self.told(event.message_id, event.channel, event.type, event.status)

    def _learn_outcome(self, key: Attempt, event: Event, at_ms: int) -> None:
        if event.provider_message_id:
            self._ids[event.provider, event.provider_message_id] = (event.message_id, event.attempt, event.replay_id)
            if len(self._ids) > MOST_IDS:
                self._ids.popitem(last=False)
        if 0 < _rank(event.status) < _rank(self._wanted(event.type, event.channel)):
            self._note(Sent(key, event.provider, event.provider_message_id, at_ms))
        else:
            self._forget(key)

    def told(self, message_id: bytes, channel: str, kind: str, status: str) -> None:
        """A receipt about a message of that type: nothing is asked any more where it says what is wanted, or failed."""
        if status == Status.FAILED or _rank(status) >= max(1, _rank(self._wanted(kind, channel))):
            for key in self._of_message.get((message_id, channel), ()):
                self._sent.pop(key, None)
            self._of_message.pop((message_id, channel), None)

    def _note(self, sent: Sent) -> None:
        if (sent.attempt[1], sent.provider) not in self.asked or sent.attempt in self._sent:
            return
        if len(self._sent) >= MOST_SENT:
            self._forget(next(iter(self._sent)))
        sent.delivery = self._deliveries.pop(sent.attempt, (0, None))[1]
        self._sent[sent.attempt] = sent
        self._of_message.setdefault(sent.attempt[:2], []).append(sent.attempt)
        heapq.heappush(self._due, (sent.at_ms + ASK_AFTER_MS[0], sent.attempt))

    def _forget(self, key: Attempt) -> None:
        self._deliveries.pop(key, None)
        if self._sent.pop(key, None) is not None:
            of_message = self._of_message[key[:2]]
            of_message.remove(key)
            if not of_message:
                del self._of_message[key[:2]]

    # -- what is asked for

    def due(self, now_ms: int) -> Iterator[Sent]:
        """Attempts to ask about now, the longest due first; each must be `put_off` or told of."""
        while self._due and self._due[0][0] <= now_ms:
            _, key = heapq.heappop(self._due)
            sent = self._sent.get(key)
            if sent is not None:
                yield sent

    def put_off(self, sent: Sent, now_ms: int, *, was_asked: bool = True) -> None:
        """Ask again later, at the next moment that has not passed; once it was asked for the last time, never."""
        sent.asked += was_asked
        while was_asked and sent.asked < len(ASK_AFTER_MS) and sent.at_ms + ASK_AFTER_MS[sent.asked] <= now_ms:
            sent.asked += 1
        if sent.asked >= len(ASK_AFTER_MS):
            self._forget(sent.attempt)
        else:
            later_ms = sent.at_ms + ASK_AFTER_MS[sent.asked] if was_asked else now_ms + 1_000
            heapq.heappush(self._due, (max(later_ms, now_ms + 1_000), sent.attempt))

    def whose(self, provider: str, provider_message_id: str) -> tuple[bytes, int, int] | None:
        """Message id, attempt and replay id of what a provider calls so; None when it is not known (yet)."""
        return self._ids.get((provider, provider_message_id))

    def prune(self, now_ms: int) -> None:
        """Forget what was never told of."""
        for kept in (self._deliveries, self._providers):
            while kept and next(iter(kept.values()))[0] < now_ms - UNANSWERED_MS:
                kept.popitem(last=False)


def _rank(word: str) -> int:
    """How much a level proves; 0 for a word that is none."""
    return RANKS.get(word, 0)

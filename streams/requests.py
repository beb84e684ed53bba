"""Requests about messages on their way into the log: what one partition has read of `requests`, and copies as events.

Used by `owner`. A request counts where its copy stands in the log of its message, so the owner of the partition copies
what concerns a message it knows. One about a message that nobody knows yet is kept for a minute, and until the log is
read to the end of it: the message may still be on its way. Knows neither Kafka nor asyncio; a repeat is recognised by
`asked`, by the request's id.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from msgspec import Struct

from infra.receipts.notice import attempt_of, code_of
from schemas.partitioner import partition_of
from schemas.records import NO_KEY, Event, Request
from schemas.statuses import Stage
from streams import series
from streams.asked import answer_to
from streams.consequences import Author
from streams.message_state import MessageState

PATIENCE_MS: Final = 60_000
"""So long a request waits for its message."""
STALE_MS: Final = 600_000
"""One that is older when it is read does not wait: its message would have come."""
MAX_WAITING: Final = 10_000
"""So many wait per partition; the longest waiting ones give way."""

STAGES: Final[dict[str, Stage]] = {
    "cancel": Stage.CANCEL_REQUESTED,
    "supersede": Stage.SUPERSEDED,
    "reschedule": Stage.RESCHEDULE_REQUESTED,
    "receipt": Stage.RECEIPT,
}
"""What a request of that kind becomes; other kinds are not for settle."""

OnEnded = Callable[[str], None]
"""Told how a request ended here: copied, not allowed, unknown here."""


class Asked(Struct, frozen=True, gc=False):
    """A record of `requests`: its offset, the broker's time of appending it, and the request, None when unreadable."""

    offset: int
    appended_at: int
    request: Request | None


def copy_of(asked: Request, state: MessageState, author: Author, now_ms: int) -> Event:
    """The event that a request becomes in the log of its message; `detail` is the request's id as hex.

    `reason` and `channel` say what is certain already (see `asked.answer_to`); a receipt keeps its own, the vendor's
    code, and the attempt that it names (0: any).
    """
    stage = STAGES[asked.kind]
    is_receipt = stage == Stage.RECEIPT
    reason, channel = (asked.reason, asked.channel) if is_receipt else answer_to(stage, state)
    return Event(
        asked.message_id,
        stage,
        channel,
        attempt_of(asked) if is_receipt else 0,
        asked.replay_id if is_receipt else 0,
        asked.status if is_receipt else stage,
        at=now_ms,
        accepted_at=state.accepted_at,
        app_id=state.app_id,
        type=state.type,
        lane=author.lane,
        reason=reason,
        provider=asked.provider,
        provider_code=code_of(asked) if is_receipt else "",
        provider_message_id=asked.provider_message_id,
        latency_ms=now_ms - state.accepted_at,
        recipient_key=state.recipient_key,
        config_version=state.config_version,
        worker=author.worker,
        detail=asked.request_id.hex(),
        until=asked.send_at,
    )


class Inbox:
    """The requests of one partition. `of` is its number and the count of partitions; `position` what is stored.

    `position` is the offset from which to read again after a restart: everything before it is copied, or given up.
    """

    def __init__(self, author: Author, of: tuple[int, int], position: int, on_ended: OnEnded) -> None:
        self._author = author
        self._number, self._count = of
        self._next = position
        self._on_ended = on_ended
        self._waiting: dict[int, tuple[Asked, int]] = {}
        self._by_message: dict[bytes, list[int]] = {}
        self._to_look: dict[bytes, None] = {}
        self._further: list[Request] = []

    @property
    def position(self) -> int:
        """Where to go on after a restart."""
        return next(iter(self._waiting), self._next)

    def take(self, found: Asked, now_ms: int) -> None:
        """Keep what concerns this partition until `copies` or `expire` have dealt with it."""
        if found.offset < self._next:
            return
        self._next = found.offset + 1
        asked = found.request
        if asked is None or not self._is_ours(asked):
            return
        is_stale = found.appended_at < now_ms - STALE_MS
        self._waiting[found.offset] = (found, now_ms if is_stale else now_ms + PATIENCE_MS)
        self._by_message.setdefault(asked.message_id, []).append(found.offset)
        self._to_look[asked.message_id] = None

    def _is_ours(self, asked: Request) -> bool:
        if asked.kind not in STAGES or asked.lane not in ("", self._author.lane) or asked.message_id == NO_KEY:
            return False
        return partition_of(asked.message_id, self._count) == self._number

    def look(self, message_id: bytes) -> None:
        """Something was read about this message: if a request waits for it, it is looked at again."""
        if message_id in self._by_message:
            self._to_look[message_id] = None

    def looked(self) -> list[bytes]:
        """The messages to look at now, each once."""
        found, self._to_look = self._to_look, {}
        return list(found)

    def copies(self, message_id: bytes, state: MessageState | None, now_ms: int) -> list[Event]:
        """The copies of the requests about this message, in their order; none while it is unknown."""
        if state is None or state.refused:
            return []
        found = [self._drop(offset) for offset in list(self._by_message.get(message_id, ()))]
        return [copy for asked in found if (copy := self._copy(asked, state, now_ms)) is not None]

    def _copy(self, asked: Request, state: MessageState, now_ms: int) -> Event | None:
        if asked.app_id and asked.app_id != state.app_id:
            self._on_ended("not allowed")
            return None
        self._further += series.spread(asked, state.repeats)
        if asked.request_id.hex() in state.requests:
            return None
        self._on_ended("copied")
        return copy_of(asked, state, self._author, now_ms)

    def further(self) -> list[Request]:
        """What follows from the copies for later sendings of messages that repeat; each once."""
        found, self._further = self._further, []
        return found

    def _drop(self, offset: int) -> Request:
        asked = self._waiting.pop(offset)[0].request
        assert asked is not None  # noqa: S101 - `take` keeps none without
        left = self._by_message[asked.message_id]
        left.remove(offset)
        if not left:
            del self._by_message[asked.message_id]
        return asked

    def is_due(self, at_ms: int) -> bool:
        """Whether something has waited long enough at this moment."""
        return any(until_ms <= at_ms for _, until_ms in islice(self._waiting.values(), 1))

    def expire(self, read_up_to_ms: int) -> None:
        """Give up what has waited long enough: nobody knows its message, as far as the log is read (UTC ms)."""
        while self._waiting:
            offset = next(iter(self._waiting))
            if not self.is_due(read_up_to_ms) and len(self._waiting) <= MAX_WAITING:
                return
            self._on_ended("unknown here")
            self._drop(offset)

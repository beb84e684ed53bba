"""The requests of one partition that is ours: followed, kept until their message is known, copied into its log.

Made by `owner`, one per assignment. Joins the process's feed of `requests` with an inbox of its own. It sends nothing:
the copies go out with what the owner sends, and the position is written with the rows they belong to.
"""

from collections.abc import Callable

from infra.clock import Clock
from streams.consequences import Author, Record
from streams.fold import MEMORY_MS
from streams.message_state import MessageState
from streams.request_feed import Feed, count
from streams.requests import Asked, Inbox


class Desk:
    """`of` is the partition's number and the count of partitions; `on_news` is called when something was taken."""

    def __init__(
        self, feed: Feed, author: Author, of: tuple[int, int], clock: Clock, on_news: Callable[[], None]
    ) -> None:
        self._feed = feed
        self._author = author
        self._of = of
        self._clock = clock
        self._on_news = on_news
        self._inbox = self._new_inbox(0)

    def _new_inbox(self, position: int) -> Inbox:
        return Inbox(self._author, self._of, position, count)

    @property
    def position(self) -> int:
        """Where to go on reading after a restart; below 0 when that is not known yet."""
        return self._inbox.position

    def lay(self, position: int) -> None:
        """What is stored; nothing is read yet."""
        self._inbox = self._new_inbox(position)

    async def follow(self) -> None:
        """Read what was asked since the stored position (none: as far back as messages are remembered), and go on.

        Raises UnavailableError without a broker.
        """
        start = self.position
        if start < 0:
            start = await self._feed.offset_for_time(self._clock.now_ms() - MEMORY_MS)
            self.lay(start)
        await self._feed.join(start, self.take)

    def close(self) -> None:
        """Take nothing more."""
        self._feed.leave(self.take)

    def take(self, found: list[Asked]) -> None:
        """Records of `requests`, as the feed hands them on."""
        now_ms = self._clock.now_ms()
        for asked in found:
            self._inbox.take(asked, now_ms)
        self._on_news()

    def look(self, message_id: bytes) -> None:
        """Something was read about this message: a request may have waited for it."""
        self._inbox.look(message_id)

    def is_due(self, at_ms: int) -> bool:
        """Whether a request has waited long enough for its message, so that the log is to be read up to this moment."""
        return self._inbox.is_due(at_ms)

    def copy(self, state_of: Callable[[bytes], MessageState | None], read_up_to_ms: int, out: list[Record]) -> None:
        """Append the copies of what concerns a message known by now, and what that means for its later sendings.

        What has waited too long by the moment up to which the log is read is given up.
        """
        now_ms = self._clock.now_ms()
        for message_id in self._inbox.looked():
            out += self._inbox.copies(message_id, state_of(message_id), now_ms)
        out += self._inbox.further()
        self._inbox.expire(read_up_to_ms)

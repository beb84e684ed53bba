"""When a call is made again that was refused or lost: the class of a refusal, and back-off without a clock or chance.

Used by `facts`, so by fold: everything here is a function of what stands in the log. Whether there is still time for
another try is for `facts` to say.
"""

from typing import Final
from zlib import crc32

from schemas.errors import Reason
from schemas.records import Event
from streams.message_state import ChannelState, MessageState, Place

TRIES: Final = 5
"""Calls of one channel when the plan does not say."""
FIRST_BACKOFF_MS: Final = 1_000
MAX_BACKOFF_MS: Final = 300_000
_JITTER: Final = 0.25

LATER: Final = "later"
ONCE: Final = "once"
NEVER: Final = "never"

_LATER_BY_REASON: Final[frozenset[str]] = frozenset(
    {
        Reason.TRANSIENT,
        Reason.RATE_LIMITED,
        Reason.AUTH_EXPIRED,
        Reason.QUOTA_EXHAUSTED,
        Reason.TIME_WINDOW,
    }
)
"""Refusals that may go by themselves, when the sink does not say what to do."""


def retry_class(event: Event) -> str:
    """later, once or never: as the sink says, else by the reason."""
    return event.retry or (LATER if event.reason in _LATER_BY_REASON else NEVER)


def has_try_left(state: MessageState, channel: ChannelState) -> bool:
    """Whether the plan allows another call of this channel, however the last one ended."""
    return channel.tries < (state.tries or TRIES)


def may_try_again(state: MessageState, channel: ChannelState, event: Event) -> bool:
    """Whether the plan allows another call after this refusal; the first `once` allows one, a second one none."""
    if not has_try_left(state, channel):
        return False
    chosen = retry_class(event)
    return chosen == LATER or (chosen == ONCE and not channel.is_last_try)


def backoff_ms(message_id: bytes, channel: str, tries: int) -> int:
    """1, 2, 4 ... s up to 5 min after that many calls, a quarter more or less: by a hash, so always the same."""
    base_ms = min(FIRST_BACKOFF_MS << min(max(tries, 1) - 1, 20), MAX_BACKOFF_MS)
    mark = crc32(message_id + channel.encode() + tries.to_bytes(4, "big")) / 0xFFFF_FFFF
    return round(base_ms * (1 + _JITTER * (2 * mark - 1)))


def next_try(channel: ChannelState, event: Event, place: Place) -> int:
    """The moment (UTC ms) of the next call: when the provider said, but not before the back-off is over."""
    return max(event.until, place.appended_at + backoff_ms(event.message_id, channel.channel, channel.tries))

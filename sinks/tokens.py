"""Tokens that a provider gives out to be called with: one keeper an account fetches them, and nobody else.

Called by `Channel.send` of channels that are `Keyed`. However many deliveries wait, one call is under way (single
flight); a token is fetched anew before it ends. Where the provider refuses a token that should be good, it is asked
what is good now, and only when that is the same, to make another. Knows nothing of HTTP beyond the port's records.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Final

from msgspec import Struct

from schemas.errors import MedpostError, Reason, Transient
from sinks.calls import Answer, Calls, Request, Stamp, UnknownOutcome

EARLY_MS: Final = 300_000
"""A token is fetched anew so long before it ends: WeChat renews in the last 5 minutes, when both are good."""
AGAIN_MS: Final = 10_000
"""After a failed renewal, while the old one is still good."""
FORCE_EVERY_MS: Final = 60_000
"""Forcing a new token is for emergencies: WeChat allows it 20 times a day and every 30 s."""


class Token(Struct, frozen=True):
    """What the provider gave, and for how long it is good."""

    value: str
    good_for_s: float


class Keyed(ABC):
    """A channel whose provider wants a token, which it gives for the account's secret."""

    @abstractmethod
    def build_token_request(self, stamp: Stamp, *, is_forced: bool) -> Request:
        """The call for a token; `is_forced`: a new one, whatever the provider holds for good. Pure."""

    @abstractmethod
    def read_token(self, answer: Answer) -> Token:
        """The token; raises Transient or Permanent when the provider gave none. Pure."""


class _Kept(Struct, frozen=True):
    value: str
    renew_at_ms: int
    ends_at_ms: int


class Keeper:
    """The token of one account in this process. Other processes ask for themselves, and are given the same."""

    def __init__(self, source: Keyed, calls: Calls) -> None:
        self._source = source
        self._calls = calls
        self._kept: _Kept | None = None
        self._turn = asyncio.Lock()
        self._forced_at_ms = -FORCE_EVERY_MS

    async def token(self) -> str:
        """A token that is good now. Raises Transient or Permanent when there is none to be had."""
        kept = self._fresh()
        if kept is not None:
            return kept.value
        async with self._turn:
            kept = self._fresh()
            return kept.value if kept is not None else (await self._renewed()).value

    async def another(self, refused: str) -> str:
        """A token instead of one that the provider refused. Raises as `token`."""
        async with self._turn:
            if self._kept is not None and self._kept.value != refused:
                return self._kept.value
            kept = await self._fetched(is_forced=False)
            if kept.value != refused:
                return kept.value
            now_ms = self._calls.stamp().now_ms
            if now_ms - self._forced_at_ms < FORCE_EVERY_MS:
                raise Transient(Reason.AUTH_EXPIRED, "the provider refuses the token that it gives")
            self._forced_at_ms = now_ms
            return (await self._fetched(is_forced=True)).value

    def _fresh(self) -> _Kept | None:
        kept = self._kept
        return kept if kept is not None and self._calls.stamp().now_ms < kept.renew_at_ms else None

    async def _renewed(self) -> _Kept:
        """A token fetched now; the one that we have, when that fails and it is still good."""
        try:
            return await self._fetched(is_forced=False)
        except MedpostError:
            kept, now_ms = self._kept, self._calls.stamp().now_ms
            if kept is None or now_ms >= kept.ends_at_ms:
                raise
            self._kept = _Kept(kept.value, min(now_ms + AGAIN_MS, kept.ends_at_ms), kept.ends_at_ms)
            return self._kept

    async def _fetched(self, *, is_forced: bool) -> _Kept:
        stamp = self._calls.stamp()
        try:
            answer = await self._calls.call(self._source.build_token_request(stamp, is_forced=is_forced))
            token = self._source.read_token(answer)
        except UnknownOutcome as problem:  # no message was sent, whatever became of the token
            raise Transient(Reason.TRANSIENT, f"asking for a token: {problem.provider_code}") from None
        good_ms = round(token.good_for_s * 1000)
        ends_at_ms = stamp.now_ms + good_ms
        self._kept = _Kept(token.value, max(stamp.now_ms + good_ms // 2, ends_at_ms - EARLY_MS), ends_at_ms)
        return self._kept

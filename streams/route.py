"""Which channels are always sent, and which stand by, in which order: weights against the type's threshold.

Called by intake (run), `medpost routing explain` (the same decision without sending) and settle (what to start next).
Pure. It never looks at the registry, and never judges what a provider answered.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Weighted(Protocol):
    """What routing needs to know of a channel: its weight, and why it cannot be used ("" when it can)."""

    @property
    def weight(self) -> float: ...  # noqa: D102 - named by the class
    @property
    def skip(self) -> str: ...  # noqa: D102 - named by the class


W = TypeVar("W", bound=Weighted)


def order(channels: Sequence[W], threshold: float) -> tuple[list[W], list[W]]:
    """(always, fallbacks) among the usable channels: W >= threshold at once, the others by falling weight.

    Equal weights keep the order given. Without an always-channel the heaviest is started first: it stands at the head
    of the fallbacks. Source: the contract's routing truth table.
    """
    usable = [channel for channel in channels if not channel.skip]
    always = [channel for channel in usable if channel.weight >= threshold]
    standing_by = [channel for channel in usable if channel.weight < threshold]
    return always, sorted(standing_by, key=lambda channel: -channel.weight)


def start(channels: Sequence[W], threshold: float) -> list[W]:
    """What is sent first: all always-channels, or the heaviest fallback when there is none; empty: no channel."""
    always, fallbacks = order(channels, threshold)
    return always or fallbacks[:1]

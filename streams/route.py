"""Which channels can be used, which are always sent, which stand by, and in which order: weights against a threshold.

Called by intake (run), `medpost routing explain` (the same decision without sending) and settle (what to start next).
Pure. It never reads the registry itself, and never judges what a provider answered.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from schemas.configuration import ENABLED, Address, AppConfig, ChannelConfig, MessageType, TypeChannel
from schemas.errors import Permanent, Reason
from schemas.records import Message
from streams.authenticate import is_granted
from streams.resolve import obstacle
from streams.skips import DISABLED, NO_TEMPLATE, NOT_CHOSEN, NOT_GRANTED, UNREGISTERED, USABLE, Skip


class Weighted(Protocol):
    """What ordering needs to know of a channel: its weight, and why it cannot be used ("" when it can)."""

    @property
    def weight(self) -> float: ...  # noqa: D102 - named by the class
    @property
    def skip(self) -> str: ...  # noqa: D102 - named by the class


W = TypeVar("W", bound=Weighted)


class Routed(Struct, frozen=True):
    """One channel of a type's policy for one message; why it is skipped ("": it is not), and the cause of that."""

    entry: TypeChannel
    skip: str = ""
    cause: str = ""

    @property
    def weight(self) -> float:
        """The policy's weight."""
        return self.entry.weight


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


def route(
    message: Message,
    policy: tuple[AppConfig, MessageType],
    channels: Mapping[str, ChannelConfig],
    addresses: Mapping[str, Address],
) -> list[Routed]:
    """Every channel of the type's policy, in its order, with the reason why it is skipped where it is.

    `policy` is the sending application and the type. Raises Permanent(channel_not_granted) for a choice of channels
    that would widen the policy.
    """
    app, kind = policy
    if message.channels and not {entry.channel for entry in kind.channels}.issuperset(message.channels):
        raise Permanent(Reason.CHANNEL_NOT_GRANTED, f"channels names one that type {kind.type} does not use")
    found = []
    for entry in kind.channels:
        skip = _skip_of(entry, message, app, channels.get(entry.channel))
        if skip is USABLE:
            skip = obstacle(addresses.get(entry.channel))
        found.append(Routed(entry, skip.reason, skip.cause))
    return found


def _skip_of(entry: TypeChannel, message: Message, app: AppConfig, config: ChannelConfig | None) -> Skip:
    """Why this channel cannot be used, whoever the recipient is; USABLE when it can."""
    if message.channels and entry.channel not in message.channels:
        return NOT_CHOSEN
    if not is_granted(app.channels, entry.channel):
        return NOT_GRANTED
    if config is None:
        return UNREGISTERED
    if config.status != ENABLED:
        return DISABLED
    return NO_TEMPLATE if entry.template is None else USABLE

"""Which holds stand in the way of a message: the answer to "why does it not go out".

Called by `medpost messages get` for a message that has not ended. Pure: what the store, the registry and the topic of
holds say is handed in. It may name a hold of one channel while another channel has already done its part.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from console import words
from infra.holds import Scope
from infra.queries import TraceEvent
from infra.snapshot import Snapshot, accounts_of
from infra.standing import Standing, in_order
from schemas.configuration import ChannelConfig, Hold
from schemas.statuses import Stage

NAMES: Final[dict[str, str]] = {
    Scope.TYPE: "消息类型",
    Scope.CHANNEL: "渠道",
    Scope.APP: "应用",
    Scope.PROVIDER: "渠道商",
}
ENDED: Final = frozenset({Stage.SENDING, Stage.OUTCOME, Stage.UNKNOWN, Stage.TIMED_OUT, Stage.SKIPPED})
"""After these a channel does not wait to be let go, as long as nothing is retried there."""


def in_the_way(
    one: Standing, events: Iterable[TraceEvent], held: Iterable[Hold], snapshot: Snapshot | None
) -> Iterator[Hold]:
    """The holds of the message's type and application, and of the channels that it may still go out by.

    Without a registry only the channels that its events name are known.
    """
    channels = _open_channels(one, list(events), snapshot)
    providers = {each.provider for name in channels for each in _accounts(name, snapshot)}
    named = {Scope.TYPE: {one.type}, Scope.APP: {one.app_id}, Scope.CHANNEL: channels, Scope.PROVIDER: providers}
    for hold in held:
        if hold.scope in set(Scope) and hold.name in named[Scope(hold.scope)]:
            yield hold


def _open_channels(one: Standing, events: Sequence[TraceEvent], snapshot: Snapshot | None) -> set[str]:
    """Channels of the message's policy whose last event does not say that they are through."""
    last = {event.channel: event.stage for event in in_order(events) if event.channel}
    kind = snapshot.types.get(one.type) if snapshot is not None else None
    planned = {entry.channel for entry in kind.channels} if kind is not None else set()
    return {name for name in planned | last.keys() if last.get(name) not in ENDED}


def _accounts(channel: str, snapshot: Snapshot | None) -> Iterator[ChannelConfig]:
    config = snapshot.channels.get(channel) if snapshot is not None else None
    if config is not None:
        yield from accounts_of(config)


def told(hold: Hold) -> str:
    """One hold on one line: what, since when, by whom, why, and how it is ended."""
    note = f"：{hold.note}" if hold.note else ""
    return (
        f"{NAMES.get(hold.scope, hold.scope)} {hold.name} 已暂停（自 {words.moment(hold.at)[:-4]}，{hold.by}{note}）；"
        f"恢复：medpost release --{hold.scope} {hold.name}"
    )

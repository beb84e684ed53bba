"""What settle remembers of one message: its policy, and where each of its channels stands.

Made and changed by `fold`, read by `guard`, `decide` and `consequences`; kept on disk as it is (msgpack arrays: new
fields go to the end, with a default). Holds no address and no text: those stay sealed, in rows of their own.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from infra.remark import causes_in
from schemas.records import NO_KEY, Event, Plan, PlanChannel
from schemas.statuses import LEVEL_RANK


class Phase:
    """Where one channel of a message stands. Plain numbers: an enum's member costs five times as much to name."""

    UNSTARTED: Final = 0
    """A fallback whose turn has not come."""
    WAITING: Final = 1
    """May be issued as soon as the channel has room."""
    DEFERRED: Final = 2
    """May be issued from `until` on."""
    ISSUED: Final = 3
    """Given to the sinks, to be claimed before `until`."""
    SENDING: Final = 4
    """Claimed; the provider's answer is awaited until `deadline`."""
    TAKEN: Final = 5
    """The provider took it, but the policy wants a higher proof, until `deadline`."""
    SILENT: Final = 6
    """The provider's answer was lost; a receipt may still tell, until `deadline`."""
    SUCCEEDED: Final = 7
    """The level that counts as success is proved."""
    FAILED: Final = 8
    """Ended without success; `reason` says why."""
    SKIPPED: Final = 9
    """Never to be used, or not any more; `reason` is empty when the message simply did not need it."""


IN_FLIGHT: Final = frozenset((Phase.ISSUED, Phase.SENDING))
"""Counts against the channel's window."""
AWAITING: Final = frozenset((Phase.SENDING, Phase.TAKEN, Phase.SILENT))
"""Ends by `deadline` at the latest."""
QUEUED: Final = frozenset((Phase.WAITING, Phase.DEFERRED))
"""Would be issued if there were room, or time."""
ACTIVE: Final = IN_FLIGHT | AWAITING | QUEUED
"""Neither ended nor unstarted."""
RANK_OF_LEVEL: Final[dict[str, int]] = {str(level): rank for level, rank in LEVEL_RANK.items()}
"""Levels of proof by their word, as it stands in events and plans."""


class ChannelState(Struct, array_like=True, gc=False):
    """One channel of a message. `success` and `level` are ranks of proof (1 = the provider took it, 0 = nothing).

    `attempt` counts issues, `tries` those that were claimed; `try_group` rises after a definite failure, and with it
    the provider's idempotency key. `seq` is its place in the waiting line, 0 before it had one. `avoid` is the provider
    that refused last. While it is tried again, `refused` is the attempt that was refused last and `refusal` why;
    `is_last_try` means that a refusal of the kind that is tried once more has been; `is_racing`, that an attempt was
    issued and not claimed when an earlier one was proved: it may be called all the same. `cause` is what `reason` came
    of where intake skipped it.
    """

    channel: str
    weight: float
    success: int
    timeout_ms: int
    template_version: int = 0
    text_hash: bytes = b""
    address_hash: bytes = b""
    phase: int = Phase.UNSTARTED
    reason: str = ""
    attempt: int = 0
    tries: int = 0
    try_group: int = 0
    until: int = 0
    deadline: int = 0
    level: int = 0
    possible_duplicate: bool = False
    seq: int = 0
    avoid: str = ""
    refused: int = 0
    refusal: str = ""
    is_last_try: bool = False
    is_racing: bool = False
    cause: str = ""


class MessageState(Struct, array_like=True, gc=False):
    """One message; `channels` stand in the order of the policy: by weight, equal ones as in the registry.

    `refused` is intake's reason when the message was rejected. `final` is the published status, empty while open;
    from then on the state is kept until `forget_at` to recognise repeats and late receipts. `completed_at` are the
    offsets of the `completed` events that counted. `tries`, quiet hours and `fallbacks_per_hour` as in `Plan`;
    `falls_back`: when a channel is down, the next one begins. `withdrawn` is the reason why nothing more is to be sent,
    `requests` are the ids (hex) of what was asked last. The first of a message that repeats knows how many sendings
    come after it (`repeats`), and when the last of them ends.
    """

    app_id: str
    type: str
    accepted_at: int
    send_at: int = 0
    expires_at: int = 0
    threshold: float = 0.0
    on_unknown: str = "leave"
    reference: str = ""
    digest: bytes = NO_KEY
    recipient_key: bytes = NO_KEY
    config_version: int = 0
    channels: list[ChannelState] = []
    refused: str = ""
    final: str = ""
    final_reason: str = ""
    forget_at: int = 0
    completed_at: list[int] = []
    tries: int = 0
    quiet_from: int = 0
    quiet_until: int = 0
    fallbacks_per_hour: int = 0
    falls_back: bool = False
    withdrawn: str = ""
    requests: list[str] = []
    repeats: int = 0
    series_end: int = 0


_NO_CAUSES: Final[Mapping[str, str]] = {}


class Place(Struct, frozen=True, gc=False):
    """Where an event stands in the log: its offset, and the broker's time of appending it."""

    offset: int
    appended_at: int


def _weight_down(channel: PlanChannel) -> float:
    return -channel.weight


def by_weight(plan: Plan) -> list[PlanChannel]:
    """The plan's channels in the order of the policy: highest weight first, equal ones as in the registry."""
    channels = plan.channels
    before = 1.0
    for channel in channels:
        if channel.weight > before:
            return sorted(channels, key=_weight_down)
        before = channel.weight
    return channels  # the usual case: the registry lists them so


def first_state(event: Event) -> MessageState:
    """The state of a message of which only its `accepted` or `rejected` event is known."""
    plan = event.plan or Plan()
    causes = causes_in(event.detail) if event.detail and plan.channels else _NO_CAUSES
    return MessageState(
        event.app_id,
        event.type,
        event.accepted_at,
        plan.send_at,
        plan.expires_at,
        plan.threshold,
        plan.on_unknown,
        plan.reference,
        plan.digest,
        event.recipient_key,
        event.config_version,
        [_channel_state(channel, causes) for channel in by_weight(plan)],
        tries=plan.tries,
        quiet_from=plan.quiet_from,
        quiet_until=plan.quiet_until,
        fallbacks_per_hour=plan.fallbacks_per_hour,
        falls_back=plan.on_channel_down == "fall_back",
        repeats=len(plan.later),
        series_end=plan.later[-1].expires_at if plan.later else 0,
    )


def _channel_state(channel: PlanChannel, causes: Mapping[str, str]) -> ChannelState:
    return ChannelState(
        channel.channel,
        channel.weight,
        RANK_OF_LEVEL.get(channel.success, 1),
        channel.timeout_ms,
        channel.template_version,
        channel.text_hash,
        channel.address_hash,
        Phase.SKIPPED if channel.skip else Phase.UNSTARTED,
        channel.skip,
        cause=causes.get(channel.channel, "") if channel.skip else "",
    )


def find(state: MessageState, channel: str) -> ChannelState | None:
    """The channel of that name, None when the plan has none."""
    for one in state.channels:
        if one.channel == channel:
            return one
    return None


pack: Final = msgspec.msgpack.Encoder().encode
"""A state as bytes."""
unpack: Final = msgspec.msgpack.Decoder(MessageState).decode
"""Bytes as a state."""

"""The records that follow from settle's conclusions and from reading them: events, deliveries, outcomes.

Called by settle's partitions with a state that `fold` has just accepted. Everything here is determined by the state and
the event: doing it twice makes the same records twice, which everybody downstream recognises by their identity. It
never decides, and never opens a sealed part.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from msgspec import Struct, structs

from schemas import ids
from schemas.errors import Reason
from schemas.records import Delayed, Delivery, Event, Outcome, Request
from schemas.statuses import Stage, Status
from streams import series
from streams.asked import STEPS as ASKED
from streams.asked import replacing
from streams.decide import Conclusion
from streams.fold import Effect
from streams.message_state import ChannelState, MessageState, Phase, Place, find

_ACCEPTED: Final[str] = Stage.ACCEPTED  # to name an enum's member costs 0.2 us


class Onward(Struct, frozen=True):
    """An event for the log of another message, wherever that is: the acceptance of a later sending."""

    event: Event


Record = Event | Delivery | Outcome | Request | Delayed | Onward


class Author(Struct, frozen=True):
    """Who writes: the lane it decides for, and the worker's name."""

    lane: str
    worker: str


def conclusion(author: Author, message_id: bytes, state: MessageState, made: Conclusion, now_ms: int) -> Event:
    """A conclusion as an event for the log."""
    if made.stage == Stage.COMPLETED:
        return _completed(author, message_id, state, made, now_ms)
    channel = find(state, made.channel)
    return Event(
        message_id,
        made.stage,
        made.channel,
        made.attempt,
        status=made.stage,
        at=now_ms,
        accepted_at=state.accepted_at,
        app_id=state.app_id,
        type=state.type,
        lane=author.lane,
        possible_duplicate=channel is not None and channel.possible_duplicate,
        latency_ms=now_ms - state.accepted_at,
        lateness_ms=_lateness_ms(state, now_ms),
        recipient_key=state.recipient_key,
        template_version=channel.template_version if channel is not None else 0,
        config_version=state.config_version,
        worker=author.worker,
        reason=made.reason,
        claim_by=made.claim_by,
        until=made.until,
        scope=made.scope,
    )


def _completed(author: Author, message_id: bytes, state: MessageState, made: Conclusion, now_ms: int) -> Event:
    channel = find(state, made.channel)
    return Event(
        message_id,
        Stage.COMPLETED,
        made.channel,
        status=made.status,
        at=now_ms,
        accepted_at=state.accepted_at,
        app_id=state.app_id,
        type=state.type,
        lane=author.lane,
        reason=made.reason,
        possible_duplicate=_is_possible_duplicate(state),
        latency_ms=now_ms - state.accepted_at,
        lateness_ms=_lateness_ms(state, now_ms),
        recipient_key=state.recipient_key,
        template_version=channel.template_version if channel is not None else 0,
        config_version=state.config_version,
        worker=author.worker,
        attempts=sum(one.tries for one in state.channels),
        text_hash=channel.text_hash if channel is not None else b"",
        address_hash=channel.address_hash if channel is not None else b"",
    )


def _lateness_ms(state: MessageState, now_ms: int) -> int:
    return now_ms - max(state.accepted_at, state.send_at)


def _is_possible_duplicate(state: MessageState) -> bool:
    """Whether somebody may have got it twice: a lost answer, and another call after it."""
    return any(one.possible_duplicate and (one.tries > 1 or one.is_racing) for one in state.channels)


def delivery(author: Author, message_id: bytes, state: MessageState, channel: ChannelState, sealed: bytes) -> Delivery:
    """What follows from a valid `issued`: the attempt that it announces, with the logged `claim_by`."""
    return Delivery(
        message_id,
        channel.channel,
        channel.attempt,
        0,
        channel.try_group,
        state.app_id,
        state.type,
        author.lane,
        state.accepted_at,
        state.send_at,
        state.recipient_key,
        channel.template_version,
        state.config_version,
        ids.provider_key(message_id, channel.channel, 0, channel.try_group),
        channel.until,
        state.expires_at,
        channel.possible_duplicate,
        sealed,
        channel.avoid,
    )


def told(author: Author, state: MessageState, event: Event, effect: int) -> Iterator[Record]:
    """What is to be said after reading an event that meant `effect`; the delivery of an issue comes besides."""
    if effect == Effect.ISSUED:
        yield from after_issued(author, state, event)
    elif effect == Effect.COMPLETED:
        yield from after_completed(author, state, event)
    elif effect == Effect.CONFLICT:
        yield from after_conflict(author, state, event)
    elif effect == Effect.RETRIED:
        yield from after_refusal(author, state, event)
    else:
        if event.stage == _ACCEPTED:
            yield from after_accepted(author, state, event)
        elif event.stage in ASKED:
            yield from skipped(author, state, event)
        yield from held(author, state, event)


def told_again(author: Author, state: MessageState, event: Event, place: Place) -> Iterator[Record]:
    """The same, of an event that was folded into the state some time ago."""
    if event.stage == Stage.COMPLETED and place.offset in state.completed_at:
        yield from after_completed(author, state, event)
    elif event.stage == Stage.ISSUED:
        yield from after_issued(author, state, event)
    elif event.stage == Stage.ACCEPTED and not state.refused:
        if event.plan is not None and event.plan.digest != state.digest:
            yield from after_conflict(author, state, event)
            return
        yield from after_accepted(author, state, event)
        yield from held(author, state, event)
    elif event.stage == Stage.OUTCOME:
        yield from after_refusal(author, state, event)
    elif event.stage in ASKED:
        yield from skipped(author, state, event)


def after_issued(author: Author, state: MessageState, event: Event) -> Iterator[Event]:
    """The announcement that a fallback has begun: with its first attempt."""
    channel = find(state, event.channel)
    if channel is None or event.attempt != 1 or channel.weight >= state.threshold:
        return
    failed = [one for one in state.channels if one.phase == Phase.FAILED]
    if failed:
        yield _announcement(author, state, event, Stage.FALLBACK, channel, failed[-1].reason)


def after_accepted(author: Author, state: MessageState, event: Event) -> Iterator[Record]:
    """Announcements of channels that cannot be used, what is asked of the message it replaces, its later sendings."""
    yield from skipped(author, state, event)
    asked = replacing(event)
    if asked is not None:
        yield asked
    if state.repeats:
        yield from map(Onward, islice(series.later(event), state.repeats))


def skipped(author: Author, state: MessageState, event: Event) -> Iterator[Event]:
    """The announcements of channels that cannot be used, or are not to be used any more, each with its reason."""
    for channel in state.channels:
        if channel.phase == Phase.SKIPPED and channel.reason:
            made = _announcement(author, state, event, Stage.SKIPPED, channel, channel.reason)
            yield structs.replace(made, detail=channel.cause) if channel.cause else made


def held(author: Author, state: MessageState, event: Event) -> Iterator[Event]:
    """The announcements of channels that begin only when quiet hours end; one that was put off by the sender is none.

    Never of a channel that was issued before: what it waits for is told otherwise.
    """
    if state.quiet_from == state.quiet_until:
        return
    for channel in state.channels:
        if channel.phase == Phase.DEFERRED and not channel.attempt and channel.until > state.send_at:
            made = _announcement(author, state, event, Stage.HELD, channel, Reason.TIME_WINDOW)
            yield structs.replace(made, attempt=0, until=channel.until)


def after_refusal(author: Author, state: MessageState, event: Event) -> Iterator[Event]:
    """The announcement of the next try, as long as it has not begun."""
    channel = find(state, event.channel)
    if channel is None or channel.phase != Phase.DEFERRED or channel.refused != event.attempt or not event.attempt:
        return
    made = _announcement(author, state, event, Stage.RETRY_SCHEDULED, channel, channel.refusal)
    yield structs.replace(made, until=channel.until)


def after_completed(author: Author, state: MessageState, event: Event) -> Iterator[Record]:
    """The outcome for the application, and the announcements of channels that were not needed."""
    yield Outcome(
        ids.show(event.message_id),
        state.app_id,
        state.reference,
        state.type,
        event.status,
        event.reason,
        event.channel,
        event.possible_duplicate,
        event.replay_id,
        state.accepted_at,
        event.at,
        event.latency_ms,
    )
    for channel in state.channels:
        if channel.phase == Phase.SKIPPED and not channel.reason:
            yield _announcement(author, state, event, Stage.SKIPPED, channel, "")


def after_conflict(author: Author, state: MessageState, event: Event) -> Iterator[Record]:
    """The refusal of a second request under the same id, for the trace and for the application; never a `completed`."""
    yield Event(
        event.message_id,
        Stage.REJECTED,
        status=Status.REJECTED,
        at=event.at,
        accepted_at=state.accepted_at,
        app_id=event.app_id,
        type=event.type,
        lane=author.lane,
        reason=Reason.REFERENCE_CONFLICT,
        recipient_key=event.recipient_key,
        config_version=event.config_version,
        worker=author.worker,
    )
    yield Outcome(
        ids.show(event.message_id),
        event.app_id,
        event.plan.reference if event.plan is not None else state.reference,
        event.type,
        Status.REJECTED,
        Reason.REFERENCE_CONFLICT,
        accepted_at=event.accepted_at,
        completed_at=event.at,
    )


def _announcement(
    author: Author, state: MessageState, event: Event, stage: Stage, channel: ChannelState, reason: str
) -> Event:
    return Event(
        event.message_id,
        stage,
        channel.channel,
        event.attempt,
        status=stage,
        at=event.at,
        accepted_at=state.accepted_at,
        app_id=state.app_id,
        type=state.type,
        lane=author.lane,
        reason=reason,
        latency_ms=event.at - state.accepted_at,
        lateness_ms=_lateness_ms(state, event.at),
        recipient_key=state.recipient_key,
        template_version=channel.template_version,
        config_version=state.config_version,
        worker=author.worker,
    )

"""Intake's whole answer to one message, as one event: `accepted` with the plan, or `rejected` with a reason.

The pure steps in their order: authenticate > authorise > prioritise > resolve > route > render > seal. Called by the
shell for every record, and by `medpost routing explain`. It reads no clock, publishes nothing, and keeps nothing
between two records but compiled templates and verified tokens of its registry version.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from infra import crypto
from infra.remark import remark
from infra.snapshot import Snapshot, opened_team
from infra.tokens import Verifier
from schemas import ids
from schemas.codec import CONTENT, MESSAGE
from schemas.configuration import LIVE, TEAM, Address, TypeChannel
from schemas.errors import Permanent, Reason
from schemas.limits import MAX_AHEAD_MS, NAME, REFERENCE_CHARS
from schemas.records import NO_KEY, Event, Message, Occurrence, Plan, PlanChannel
from schemas.statuses import Lane, Stage, Status
from streams import series
from streams.authenticate import authenticate, authorise
from streams.prioritise import lane_of, lifetime
from streams.render import Renderer, values_of
from streams.resolve import Directory, Resolved, resolve
from streams.restrict import restrict
from streams.route import Routed, route, start

MAX_LATER_BYTES: Final = 512 << 10
"""Of the texts of all later sendings together: a record of Kafka holds a MiB."""
_MSGPACK: Final = msgspec.msgpack.Encoder(order="deterministic")


class Record(Protocol):
    """A record of `messages.*` as far as intake needs it; `timestamp` is its append time in UTC milliseconds."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - a field
    @property
    def partition(self) -> int: ...  # noqa: D102 - a field
    @property
    def offset(self) -> int: ...  # noqa: D102 - a field
    @property
    def timestamp(self) -> int: ...  # noqa: D102 - a field
    @property
    def value(self) -> bytes | None: ...  # noqa: D102 - a field
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...  # noqa: D102 - a field


class Rings(Struct, frozen=True):
    """The keys that intake needs: of sealed parts, of pseudonyms and salted hashes, of what the registry seals."""

    parts: crypto.Ring
    pseudonym: crypto.Ring
    registry: crypto.Ring


def message_id_of(message: Message, record: Record) -> bytes:
    """The message's id: from its reference, else as given, else from the record's place; raises Permanent."""
    if message.reference:
        return ids.from_reference(message.app_id, message.reference)
    if message.message_id:
        return ids.parse(message.message_id)
    return ids.from_position(record.topic, record.partition, record.offset)


def digest_of(message: Message, ring: crypto.Ring) -> bytes:
    """Keyed hash of what was asked for, 16 bytes: equal for a repeat, another one for a conflict.

    Neither the id nor when and from where it was sent belong to what was asked for.
    """
    asked = msgspec.structs.replace(message, message_id="", created_at=0, source=_NO_SOURCE)
    return ring.digest("asked", _MSGPACK.encode(asked))


_NO_SOURCE: Final = Message().source


class Desk:
    """Where messages are answered under one registry version; made anew when the version changes."""

    def __init__(self, snapshot: Snapshot, verifier: Verifier, directory: Directory, rings: Rings, worker: str) -> None:
        self.snapshot = snapshot
        self._verifier = verifier
        self._directory = directory
        self._rings = rings
        self._worker = worker
        self._renderer = Renderer()

    def answer(self, record: Record, lane: Lane, now_ms: int) -> Event:
        """The one event for a record that came in by the topic of `lane`; its lane is the one to answer in.

        Raises Permanent(decode_error) for bytes that are no message: there is no id to answer to.
        """
        message = MESSAGE.decode(record.value)
        message_id = NO_KEY
        try:
            message_id = message_id_of(message, record)
            claims = authenticate(message, record.headers, self._verifier, record.timestamp)
            return self._accepted(message, message_id, (record.timestamp, now_ms), claims.key_kind)
        except Permanent as refusal:
            if message_id == NO_KEY:
                message_id = ids.from_position(record.topic, record.partition, record.offset)
            event = self._event(message, message_id, record.timestamp, now_ms)
            return self._rejected(event, message, refusal, lane)

    def plan(
        self, message: Message, message_id: bytes, accepted_at: int, key_kind: str = LIVE
    ) -> tuple[Plan, Resolved, dict[str, str]]:
        """The whole decision about a message whose sender is known; with it why each skipped channel is, by channel.

        Raises Permanent with the reason of a refusal.
        """
        app, kind = authorise(message, self.snapshot)
        _check_reference(message)
        send_at, expires_at = lifetime(message, kind, accepted_at)
        values = values_of(message, kind)
        resolved = resolve(message, self._directory, self._rings.pseudonym)
        team = opened_team(app, self._rings.registry) if key_kind == TEAM else []
        routed = restrict(
            key_kind,
            route(message, (app, kind), self.snapshot.channels, resolved.addresses),
            (message, msgspec.structs.replace(app, team=team), resolved),
            self.snapshot,
        )

        def channels(of: bytes) -> list[tuple[PlanChannel, str]]:
            return [self._channel(each, (of, kind.type), values, resolved.addresses) for each in routed]

        moments = series.moments(message, kind, send_at or accepted_at, accepted_at + MAX_AHEAD_MS)
        later = [
            Occurrence(*moment, [one.sealed for one, _ in channels(ids.occurrence(message_id, number))])
            for number, moment in enumerate(moments, start=1)
        ]
        _check_size(later)
        planned = channels(message_id)
        plan = Plan(
            reference=message.reference,
            digest=digest_of(message, self._rings.pseudonym),
            send_at=send_at,
            expires_at=expires_at,
            threshold=kind.threshold,
            supersedes=_superseded(message),
            on_unknown=kind.on_unknown,
            on_channel_down=kind.on_channel_down,
            channels=[one for one, _ in planned],
            tries=kind.tries,
            quiet_from=kind.quiet_from,
            quiet_until=kind.quiet_until,
            fallbacks_per_hour=kind.fallbacks_per_hour,
            later=later,
        )
        return plan, resolved, {one.channel: cause for one, cause in planned if cause}

    def _channel(
        self, routed: Routed, at: tuple[bytes, str], values: dict[str, str], addresses: Mapping[str, Address]
    ) -> tuple[PlanChannel, str]:
        """One channel of the plan: sealed address and text, or the reason why it is skipped, and what that came of.

        `at`: message id, type.
        """
        entry, template = routed.entry, routed.entry.template
        if routed.skip or template is None:
            return _skipped(entry, routed.skip), routed.cause
        message_id, kind = at
        address = addresses[entry.channel].value
        try:
            content = self._renderer.render((kind, entry.channel), template, values, address)
        except Permanent as refusal:
            if refusal.reason == Reason.MISSING_PARAMETER:
                raise
            return _skipped(entry, refusal.reason), refusal.detail
        rings = self._rings
        planned = PlanChannel(
            channel=entry.channel,
            weight=entry.weight,
            success=entry.success,
            timeout_ms=entry.timeout_ms,
            template_version=template.version,
            text_hash=rings.pseudonym.digest("text", content.title, content.text),
            address_hash=rings.pseudonym.digest("address", entry.channel, address),
            sealed=rings.parts.seal(CONTENT.encode(content), crypto.part_place(message_id, entry.channel)),
        )
        return planned, ""

    def _accepted(self, message: Message, message_id: bytes, times: tuple[int, int], key_kind: str) -> Event:
        """The event of an acceptance; `times`: when it was appended, and now."""
        accepted_at, now_ms = times
        plan, resolved, causes = self.plan(message, message_id, accepted_at, key_kind)
        place = series.place(0, len(plan.later) + 1, message_id) if plan.later else ""
        first = start(plan.channels, plan.threshold)
        return Event(
            message_id=message_id,
            stage=Stage.ACCEPTED,
            status=Status.ACCEPTED,
            at=now_ms,
            accepted_at=accepted_at,
            app_id=message.app_id,
            type=message.type,
            lane=lane_of(message, self.snapshot.types[message.type]),
            latency_ms=max(0, now_ms - accepted_at),
            lateness_ms=max(0, now_ms - accepted_at),
            recipient_key=resolved.recipient_key,
            template_version=first[0].template_version if first else 0,
            config_version=self.snapshot.version,
            worker=self._worker,
            detail=remark(place, causes) if causes else place,
            until=plan.send_at,
            plan=plan,
        )

    def _event(self, message: Message, message_id: bytes, accepted_at: int, now_ms: int) -> Event:
        """The frame of a refusal: it names only what is a name, since a wrong field could hold anything."""
        asked = message.recipient
        return Event(
            message_id=message_id,
            stage=Stage.REJECTED,
            status=Status.REJECTED,
            at=now_ms,
            accepted_at=accepted_at,
            app_id=message.app_id if NAME.fullmatch(message.app_id) else "",
            type=message.type if NAME.fullmatch(message.type) else "",
            latency_ms=max(0, now_ms - accepted_at),
            lateness_ms=max(0, now_ms - accepted_at),
            recipient_key=crypto.recipient_key(self._rings.pseudonym, asked.id_type, asked.id_value)
            if asked is not None and asked.id_value
            else NO_KEY,
            config_version=self.snapshot.version,
            worker=self._worker,
        )

    def _rejected(self, event: Event, message: Message, refusal: Permanent, lane: Lane) -> Event:
        return msgspec.structs.replace(
            event,
            lane=self._lane_of_refused(message, lane),
            reason=refusal.reason,
            detail=refusal.detail,
            plan=Plan(reference=message.reference[:REFERENCE_CHARS], digest=digest_of(message, self._rings.pseudonym)),
        )

    def _lane_of_refused(self, message: Message, lane: Lane) -> Lane:
        """Where an acceptance would have gone; the topic's own lane when that cannot be told."""
        kind = self.snapshot.types.get(message.type)
        try:
            return lane if kind is None else lane_of(message, kind)
        except Permanent:
            return lane


def _skipped(entry: TypeChannel, skip: str) -> PlanChannel:
    version = entry.template.version if entry.template is not None else 0
    return PlanChannel(entry.channel, entry.weight, entry.success, entry.timeout_ms, skip, version)


def _check_size(later: list[Occurrence]) -> None:
    """All sendings travel with the first one's acceptance, which has to be one record."""
    size = sum(len(part) for one in later for part in one.sealed)
    if size > MAX_LATER_BYTES:
        raise Permanent(Reason.TOO_LARGE, f"{len(later) + 1} sendings hold {size} bytes, at most {MAX_LATER_BYTES}")


def _check_reference(message: Message) -> None:
    if len(message.reference) > REFERENCE_CHARS or not message.reference.isprintable():
        raise Permanent(Reason.PARAM_INVALID, f"reference has at most {REFERENCE_CHARS} printable characters")


def _superseded(message: Message) -> bytes:
    """The id of the message that this one replaces, given as id or as the application's own reference."""
    if not message.supersedes:
        return b""
    try:
        return ids.parse(message.supersedes)
    except Permanent:
        return ids.from_reference(message.app_id, message.supersedes)

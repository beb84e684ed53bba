"""The receipts role: asks providers what became of messages, and says whose a receipt is that names only their id.

A process of its own, because what it must know (what is sent and not yet proved) is a function of the last hour of the
log, whichever sink sent it: a task in a sink would forget with it. What it finds goes to `requests`, and settle copies
it into the message's log; it decides nothing. Two of them do the same work twice, which everybody recognises.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct
from prometheus_client import Counter, Gauge

from infra import crypto
from infra.clock import Clock
from infra.crypto import Ring
from infra.kafka import LogRecord
from infra.receipts.notice import Notice, request_of
from infra.receipts.notice import Source as Sender
from infra.snapshot import accounts_of
from schemas.codec import CONTENT, DELIVERY, EVENT, REQUEST
from schemas.configuration import ENABLED, ChannelConfig
from schemas.errors import MedpostError, Permanent, UnavailableError
from schemas.records import NO_KEY, Request
from schemas.statuses import Status
from sinks.asking import ON, Asks, Drains, Question
from sinks.catalogue import Catalogue
from sinks.channel import Caller, Channel
from sinks.limits import TokenBucket
from sinks.outlet import Source
from sinks.pending import Pending, Sent
from sinks.shift import Sends
from sinks.unmatched import LOST, Unmatched

AT_ONCE: Final = 2_000
PULL_EVERY_S: Final = 1.0
MOST_PAGES: Final = 20
"""Pages pulled in one go, before anything else gets its turn."""
UNNAMED: Final = frozenset({"template", "tencent"})
"""Providers whose pushed receipts name only their own id."""
TOLD: Final = 100_000

FOUND: Final = Counter("medpost_receipts_total", "Receipts passed on", ["channel", "provider", "status"])
FAILED: Final = Counter("medpost_receipt_questions_failed_total", "Questions that were not answered", ["provider"])
WAITING: Final = Gauge("medpost_receipts_waiting", "Sent messages that are asked about")

log = structlog.get_logger("receipts")


class Feed(Protocol):
    """The log: `sinks.receipt_feed.ReceiptFeed`."""

    def start(self) -> None: ...  # noqa: D102 - see ReceiptFeed
    def take(self, limit: int) -> Iterator[LogRecord]: ...  # noqa: D102
    def kind_of(self, record: LogRecord) -> str: ...  # noqa: D102


class Asked(Struct, frozen=True, eq=False):
    """One account that is asked: its channel, its connections, how often."""

    config: ChannelConfig
    channel: Channel[Any]
    caller: Caller
    bucket: TokenBucket


class Desk(Struct, frozen=True):
    """How providers are called, how requests are published, what opens sealed parts, and what time it is."""

    caller: Callable[[ChannelConfig], Caller]
    batch: Callable[[], Sends]
    requests_topic: str
    ring: Ring
    clock: Clock


class Receipts:
    """The work of the role, in one loop."""

    def __init__(self, catalogue: Catalogue, registry: Source, feed: Feed, desk: Desk) -> None:
        self._catalogue = catalogue
        self._registry = registry
        self._feed = feed
        self._desk = desk
        self._clock = desk.clock
        self._pending = Pending(self._success_of)
        self._channels: Mapping[str, ChannelConfig] | None = None
        self._asked: dict[tuple[str, str], Asked] = {}
        self._outgoing: list[Request] = []
        self._unmatched = Unmatched()
        self._told: OrderedDict[bytes, None] = OrderedDict()
        self._pull_at_s = 0.0

    @property
    def waiting(self) -> int:
        """Sent messages that are asked about."""
        return len(self._pending)

    def _success_of(self, kind: str, channel: str) -> str:
        found = self._registry.snapshot.types.get(kind)
        return next((one.success for one in found.channels if one.channel == channel), "") if found is not None else ""

    async def look(self) -> None:
        """One turn: learn, ask, pull, match, publish."""
        await self._follow_registry()
        for record in self._feed.take(AT_ONCE):
            self._learn(record)
        now_ms = self._clock.now_ms()
        self._pending.prune(now_ms)
        await asyncio.gather(*(self._ask(asked, sents) for asked, sents in self._questions(now_ms)))
        if self._clock.monotonic_s() >= self._pull_at_s:
            self._pull_at_s = self._clock.monotonic_s() + PULL_EVERY_S
            await asyncio.gather(*(self._pull(one) for one in self._asked.values() if isinstance(one.channel, Drains)))
        for request in self._unmatched.match(self._pending.whose, now_ms):
            self._tell(request)
        await self._publish()
        WAITING.set(len(self._pending))

    async def close(self) -> None:
        """Let the connections to the providers go."""
        gone, self._asked = self._asked, {}
        for one in gone.values():
            await one.caller.close()

    # -- whom to ask

    async def _follow_registry(self) -> None:
        """Make the accounts anew when the registry has changed."""
        channels = self._registry.snapshot.channels
        if channels is self._channels:
            return
        self._channels = channels
        gone = list(self._asked.values())
        accounts = [account for config in channels.values() for account in accounts_of(config)]
        self._asked = {(one.config.channel, one.config.provider): one for one in map(self._made, accounts) if one}
        if self._asked or any(one.provider in UNNAMED and one.status == ENABLED for one in accounts):
            self._feed.start()
        self._pending.asked = frozenset(key for key, one in self._asked.items() if isinstance(one.channel, Asks))
        for one in gone:
            await one.caller.close()

    def _made(self, account: ChannelConfig) -> Asked | None:
        """An account that is asked; None for one that is off, wrong, or is not to be asked."""
        if account.status != ENABLED or account.settings.get("pull") != ON:
            return None
        caller = self._desk.caller(account)
        try:
            channel = self._catalogue.build(account, self._registry.channel_secrets(account), caller)
        except Permanent as problem:
            log.error("provider cannot be asked", provider=account.provider, detail=problem.detail)  # noqa: TRY400 - one clear line
            return None
        if not isinstance(channel, Asks | Drains):
            return None
        return Asked(account, channel, caller, TokenBucket(channel.settings.queries_per_s, self._clock))

    # -- what the log says

    def _learn(self, record: LogRecord) -> None:
        kind = self._feed.kind_of(record)
        try:
            if kind == "event":
                self._pending.learn_event(EVENT.decode(record.value), record.timestamp)
            elif kind == "delivery":
                self._pending.learn_delivery(DELIVERY.decode(record.value), record.timestamp)
            else:
                self._unmatched.learn(REQUEST.decode(record.value))
        except Permanent:
            return  # settle and the sinks make dead letters of such

    # -- asking

    def _questions(self, now_ms: int) -> list[tuple[Asked, list[Sent]]]:
        """What may be asked now, by account; what may not is put off by a second."""
        found: dict[tuple[str, str], list[Sent]] = {}
        asks = [one.bucket for one in self._asked.values() if isinstance(one.channel, Asks)]
        for sent in self._pending.due(now_ms) if any(bucket.free() for bucket in asks) else ():
            key = (sent.attempt[1], sent.provider)
            asked = self._asked.get(key)
            if asked is None or sent.delivery is None or not asked.bucket.free():
                self._pending.put_off(sent, now_ms, was_asked=asked is None)
            else:
                asked.bucket.take(1)
                found.setdefault(key, []).append(sent)
                if not any(bucket.free() for bucket in asks):
                    break
        return [(self._asked[key], sents) for key, sents in found.items()]

    async def _ask(self, asked: Asked, sents: Sequence[Sent]) -> None:
        await asyncio.gather(*(self._ask_about(asked, sent) for sent in sents))

    async def _ask_about(self, asked: Asked, sent: Sent) -> None:
        """One question. A provider that does not answer is asked again a second later."""
        was_asked = False
        try:
            question = self._question(sent)
            channel: Any = asked.channel
            answer = await asked.caller.call(channel.build_question(question, asked.caller.stamp()))
            notices = channel.read_answer(answer, question)
            self._note(asked, [one for one in notices if one.status != Status.ACCEPTED or not sent.provider_message_id])
            was_asked = True
        except MedpostError as problem:
            FAILED.labels(asked.config.provider).inc()
            log.warning("no answer to a question", provider=asked.config.provider, reason=problem.reason)
        finally:
            self._pending.put_off(sent, self._clock.now_ms(), was_asked=was_asked)

    def _question(self, sent: Sent) -> Question:
        delivery = sent.delivery
        if delivery is None:
            raise UnavailableError("the delivery has not been read")
        place = crypto.part_place(delivery.message_id, delivery.channel)
        content = CONTENT.decode(self._desk.ring.open(delivery.sealed, place))
        return Question(content.address, sent.provider_message_id, sent.at_ms)

    async def _pull(self, asked: Asked) -> None:
        """Everything that the provider has to hand out, page by page."""
        channel: Any = asked.channel
        for _ in range(MOST_PAGES):
            if not asked.bucket.free():
                return
            asked.bucket.take(1)
            try:
                notices = channel.read_pulled(await asked.caller.call(channel.build_pull(asked.caller.stamp())))
            except MedpostError as problem:
                FAILED.labels(asked.config.provider).inc()
                log.warning("no receipts to be had", provider=asked.config.provider, reason=problem.reason)
                return
            self._note(asked, notices)
            if len(notices) < channel.page:
                return

    def _note(self, asked: Asked, notices: Sequence[Notice]) -> None:
        source = Sender(asked.config.channel, asked.config.provider, self._clock.now_ms())
        for notice in notices:
            request = request_of(notice, source)
            if request is None:
                LOST.labels(source.provider).inc()
            elif request.message_id == NO_KEY:
                self._unmatched.learn(request)
            else:
                self._tell(request)

    # -- telling

    def _tell(self, request: Request) -> None:
        """Pass it on, once."""
        if request.request_id in self._told:
            return
        self._told[request.request_id] = None
        if len(self._told) > TOLD:
            self._told.popitem(last=False)
        self._outgoing.append(request)

    async def _publish(self) -> None:
        """What was found leaves; what the broker does not acknowledge leaves again with the next turn."""
        if not self._outgoing:
            return
        batch, leaving = self._desk.batch(), self._outgoing
        for request in leaving:
            batch.send(self._desk.requests_topic, REQUEST.encode(request), request.request_id)
        if await batch.wait():
            log.warning("receipts wait for the broker", count=len(leaving))
            return
        self._outgoing = []
        for request in leaving:
            FOUND.labels(request.channel, request.provider, request.status).inc()

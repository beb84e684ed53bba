"""What a sender may ask: how a message stands, its trace, how many are open.

Answers come from the trace, which is some seconds behind: a message taken a moment ago is `accepted`, never unknown.
How many are open is what settle told within the last 2 s. No recipient's name, pseudonym or hash is answered.
"""

from typing import Final

from infra import backlog as backlogs
from infra.backlog import Line
from infra.queries import TraceEvent
from infra.standing import Standing
from producers.gateway.call import Answer, Call
from producers.gateway.counter import Counter
from producers.gateway.messages import link_of
from producers.gateway.models import Accepted, Backlog, ChannelBacklog, EventList, EventView, MessageView, Place
from producers.gateway.problems import Refused, problem, refused
from producers.gateway.times import rfc3339
from schemas import ids
from schemas.errors import Permanent, Reason, UnavailableError

YOUNG_MS: Final = 60_000
"""For so long an id may be on its way to the store."""


async def message(counter: Counter, call: Call) -> Answer:
    """How one message stands."""
    return await _standing_of(counter, call, wanted_id(call))


async def by_reference(counter: Counter, call: Call) -> Answer:
    """The same, by the sender's own reference."""
    reference = call.request.query.get("reference", "")
    if not 0 < len(reference) <= 256:
        told = ("参数 reference 须为 1 至 256 字", "parameter reference has 1 to 256 characters")
        raise Refused([problem(Reason.MISSING_PARAMETER, told, Place(parameter="reference"))])
    encodable = reference.encode("utf-8", "replace").decode()
    return await _standing_of(counter, call, ids.show(ids.from_reference(call.sender.app.app_id, encodable)))


async def events(counter: Counter, call: Call) -> Answer:
    """One message's trace."""
    message_id = wanted_id(call)
    found = await counter.library.events(message_id, call.sender.app.app_id)
    if not found and not is_young(counter, call, message_id):
        raise unknown()
    return Answer(200 if found else 202, EventList(message_id, [_event(one) for one in found]))


async def backlog(counter: Counter, call: Call) -> Answer:
    """The application's open messages; its own only."""
    app_id = call.sender.app.app_id
    if call.request.match_info["app_id"] != app_id:
        raise refused("not_found", "只能查询本应用", "only your own application")
    if not counter.backlogs.is_ready():
        raise UnavailableError("the live backlog has not been read yet", "try again in a moment")
    told = counter.backlogs.told
    channels = [_channel(line) for line in backlogs.lines(told) if line.app_id == app_id]
    messages = sum(count for (app, _), count in backlogs.open_messages(told).items() if app == app_id)
    is_complete = not backlogs.stale(told, counter.settings.partitions, call.now_ms)
    return Answer(200, Backlog(app_id, messages, is_complete, channels))


def _channel(line: Line) -> ChannelBacklog:
    return ChannelBacklog(
        line.lane,
        line.channel,
        line.waiting + line.in_flight,
        line.waiting,
        line.in_flight,
        rfc3339(line.oldest_at) if line.oldest_at else None,
        line.issued_per_s,
        line.eta_s,
        line.reason,
    )


async def _standing_of(counter: Counter, call: Call, message_id: str) -> Answer:
    found = await counter.library.standing(message_id, call.sender.app.app_id)
    if found is not None:
        return Answer(200, _view(found))
    if is_young(counter, call, message_id):
        return Answer(202, Accepted(message_id, "accepted", link_of(message_id)), {"Retry-After": "1"})
    raise unknown()


def wanted_id(call: Call) -> str:
    """The id in the path; raises Refused(404) for what is no id."""
    try:
        return ids.show(ids.parse(call.request.match_info["message_id"]))
    except Permanent:
        raise unknown() from None


def is_young(counter: Counter, call: Call, message_id: str) -> bool:
    """Whether the message may be on its way to the store: taken here, or its id made, within the last minute."""
    taken_at = counter.memory.taken_at_ms(message_id, call.sender.app.app_id)
    made_at = ids.minted_at(ids.parse(message_id))
    return any(at is not None and abs(call.now_ms - at) < YOUNG_MS for at in (taken_at, made_at))


def unknown() -> Refused:
    """Nothing of that name, as far as this application may know."""
    return refused("not_found", "没有这条消息", "there is no such message")


def _view(found: Standing) -> MessageView:
    return MessageView(
        message_id=found.message_id,
        status=found.status,
        is_final=found.is_final,
        reason=found.reason,
        type=found.type,
        lane=found.lane,
        channel=found.channel,
        attempts=found.attempts,
        possible_duplicate=found.possible_duplicate,
        accepted_at=rfc3339(found.accepted_at_ms),
        finished_at=rfc3339(found.finished_at_ms) if found.finished_at_ms is not None else None,
        latency_ms=found.latency_ms,
        links=link_of(found.message_id),
    )


def _event(one: TraceEvent) -> EventView:
    return EventView(
        at=rfc3339(one.at_ms),
        stage=one.stage,
        status=one.status,
        channel=one.channel,
        attempt=one.attempt,
        replay_id=one.replay_id,
        reason=one.reason,
        provider=one.provider,
        provider_code=one.provider_code,
        provider_message_id=one.provider_message_id,
        possible_duplicate=one.possible_duplicate,
        latency_ms=one.latency_ms,
    )

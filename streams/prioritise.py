"""How urgent a message is, and from when to when it may be sent: everything is derived, no clock is read.

Pure step of intake. A sender may lower the type's lane, never raise it; every message gets an end of life.
"""

from typing import Final

from schemas.configuration import MessageType
from schemas.errors import Permanent, Reason
from schemas.limits import MAX_AHEAD_MS
from schemas.records import Message
from schemas.statuses import LANE_RANK, Lane
from streams.hours import next_time

_LANES: Final = {str(lane): lane for lane in Lane}


def lane_of(message: Message, kind: MessageType) -> Lane:
    """The effective lane: the type's, or the sender's `priority` when that is lower.

    Raises Permanent(param_invalid) for a priority that is no lane.
    """
    own = _LANES[kind.lane]
    if not message.priority:
        return own
    asked = _LANES.get(message.priority)
    if asked is None:
        raise Permanent(Reason.PARAM_INVALID, "priority is urgent, normal or bulk")
    return asked if LANE_RANK[asked] > LANE_RANK[own] else own


def lifetime(message: Message, kind: MessageType, accepted_at: int) -> tuple[int, int]:
    """(send_at, expires_at) in UTC milliseconds; send_at 0 means at once.

    It begins when the sender says, else at the next of the type's times of day; a time that is past means at once. The
    end is the sender's, at most the type's cap, and the type's default when the sender names none, both counted from
    the beginning; of a type that repeats the sender's end is that of all sendings, and lengthens the life of none.
    Raises Permanent(time_window) for a beginning more than 400 days ahead, or not before the end; Permanent(expired)
    for an end that was past on arrival.
    """
    send_at = _send_at(message, kind, accepted_at)
    begins_at = send_at or accepted_at
    own = begins_at + kind.expiry_ms
    wanted = own if message.expires_at is None else message.expires_at
    if kind.repeat_times > 1:
        wanted = min(wanted, own)
    expires_at = min(wanted, begins_at + kind.max_expiry_ms)
    if expires_at <= accepted_at:
        raise Permanent(Reason.EXPIRED, "expires_at was past when the message arrived")
    if expires_at <= begins_at:
        raise Permanent(Reason.TIME_WINDOW, "expires_at is not after the time at which the message may be sent")
    return send_at, expires_at


def _send_at(message: Message, kind: MessageType, accepted_at: int) -> int:
    if message.send_at is None:
        begins_at = next_time(kind.send_times, accepted_at)
        return begins_at if begins_at > accepted_at else 0
    if message.send_at > accepted_at + MAX_AHEAD_MS:
        raise Permanent(Reason.TIME_WINDOW, "send_at is more than 400 days ahead")
    return message.send_at if message.send_at > accepted_at else 0

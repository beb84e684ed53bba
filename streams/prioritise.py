"""How urgent a message is, and from when to when it may be sent: everything is derived, no clock is read.

Pure step of intake. A sender may lower the type's lane, never raise it; every message gets an end of life.
"""

from typing import Final

from schemas.configuration import MessageType
from schemas.errors import Permanent, Reason
from schemas.records import Message
from schemas.statuses import LANE_RANK, Lane

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

    The end is the sender's, at most the type's cap, and the type's default when the sender names none. Raises
    Permanent(time_window) for a start in the future, Permanent(expired) for an end that was past on arrival.
    """
    if message.send_at is not None and message.send_at > accepted_at:
        raise Permanent(Reason.TIME_WINDOW, "scheduled sending is not available yet")
    wanted = accepted_at + kind.expiry_ms if message.expires_at is None else message.expires_at
    expires_at = min(wanted, accepted_at + kind.max_expiry_ms)
    if expires_at <= accepted_at:
        raise Permanent(Reason.EXPIRED, "expires_at was past when the message arrived")
    return 0, expires_at

"""From a request to the record that leaves: its id, lane, topic and key.

Called by the SDK (both of them) and the HTTP gateway, so that the same request is the same message by whichever way it
comes. Pure but for the random bits of a fresh id; it sends nothing and knows no token.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping

from msgspec import Struct

from producers import requests
from producers.requests import MessageRequest
from schemas import ids, topics
from schemas.codec import MESSAGE
from schemas.statuses import LANES, Lane


class Outgoing(Struct, frozen=True, gc=False):
    """One record for `topic`; `key` is 16 bytes that say nothing about anybody."""

    message_id: str
    lane: Lane
    topic: str
    key: bytes
    value: bytes


class Dispatcher:
    """Addresses the requests of one application.

    `lanes` says in which lane a type belongs (others: normal); `recipient_salt`, if there is one, keys records by the
    recipient's pseudonym instead of by the reference, so that a recipient's messages stay in order.
    """

    def __init__(self, app_id: str, namespace: str, lanes: Mapping[str, str], recipient_salt: bytes = b"") -> None:
        self.app_id = app_id
        self._lanes = lanes
        self._salt = recipient_salt
        self._topics = {lane: topics.messages(lane).named(namespace) for lane in LANES}

    def outgoing(self, request: MessageRequest, now_ms: int) -> Outgoing:
        """The record of a request made now; raises Permanent when no intake could accept it."""
        requests.check(request)
        message_id = self.id_of(request) or ids.show(ids.mint(now_ms, os.urandom(10)))
        value = MESSAGE.encode(requests.as_message(request, self.app_id, message_id, now_ms))
        lane = self.lane_of(request)
        return Outgoing(message_id, lane, self._topics[lane], self.key_of(request, message_id), value)

    def id_of(self, request: MessageRequest) -> str:
        """The id that a request's reference gives it, or that it names itself; empty when neither does."""
        return requests.id_of(request, self.app_id)

    def lane_of(self, request: MessageRequest) -> Lane:
        """The lane of the request's type, lowered when the request asks for it."""
        lane = Lane(self._lanes.get(request.type, Lane.NORMAL))
        return max(lane, Lane(request.priority), key=LANES.index) if request.priority else lane

    def key_of(self, request: MessageRequest, message_id: str) -> bytes:
        """The recipient's pseudonym for this application, or a hash of the reference."""
        if self._salt and all(request.recipient):
            told_apart = "\0".join((self.app_id, *request.recipient)).encode()
            return hmac.digest(self._salt, told_apart, "sha256")[:16]
        return hashlib.sha256(f"{self.app_id}\0{request.reference or message_id}".encode()).digest()[:16]

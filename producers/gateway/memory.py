"""What this gateway remembers of the messages it took lately: by id, what was asked for and when.

So a reference that comes again with another body is refused at once, and an id is known before the store shows it. A
memory, not a law: intake judges every repeat again, and forgetting costs nothing but a later answer.
"""

import hashlib
from collections import OrderedDict
from typing import Final

import msgspec
from msgspec import Struct

from producers.gateway.models import MessageBody, SourceBody

KEPT: Final = 100_000
_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_NO_SOURCE: Final = SourceBody()


class Taken(Struct, frozen=True, gc=False):
    """One message that was taken: by whom, what was asked for, when (UTC milliseconds)."""

    app_id: str
    digest: bytes
    at_ms: int


def digest_of(body: MessageBody) -> bytes:
    """16 bytes: equal for a repeat, another for a conflict; neither the id nor the source belong to what is asked."""
    asked = msgspec.structs.replace(body, message_id="", source=_NO_SOURCE)
    return hashlib.blake2b(_ENCODER.encode(asked), digest_size=16).digest()


class Memory:
    """The latest `kept` messages, by id."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._taken: OrderedDict[str, Taken] = OrderedDict()

    def is_conflict(self, message_id: str, app_id: str, digest: bytes) -> bool:
        """Whether this id was taken lately for something else."""
        found = self._taken.get(message_id)
        return found is not None and (found.app_id, found.digest) != (app_id, digest)

    def note(self, message_id: str, taken: Taken) -> None:
        """Remember one."""
        self._taken[message_id] = taken
        self._taken.move_to_end(message_id)
        if len(self._taken) > self._kept:
            self._taken.popitem(last=False)

    def taken_at_ms(self, message_id: str, app_id: str) -> int | None:
        """When this application's message was taken; None when it is not remembered."""
        found = self._taken.get(message_id)
        return found.at_ms if found is not None and found.app_id == app_id else None

"""Takes messages back, as their senders do: a request per message, asked again until the broker has it.

Used by the offering. It never learns what came of it: that is for the judge, from the log.
"""

import os
import time
from typing import TYPE_CHECKING, Final

from infra.kafka import Publisher
from schemas import topics
from schemas.codec import REQUEST
from schemas.records import Request

if TYPE_CHECKING:
    from tests.ledger.offer import Wanted

FLUSH_S: Final = 30.0


class Asker:
    """Publishes requests; the broker's restart is outlasted by the publisher."""

    def __init__(self, bootstrap: str) -> None:
        self._publisher = Publisher(bootstrap, log_level=0)

    def cancel(self, one: "Wanted") -> None:
        """Ask that it be not sent."""
        now_ms = time.time_ns() // 1_000_000
        request_id = os.urandom(16)
        asked = Request(request_id, "cancel", one.message_id, app_id=one.app_id, requested_by="ledger", at=now_ms)
        self._publisher.publish(topics.REQUESTS.name, REQUEST.encode(asked), request_id)

    def close(self) -> None:
        """Everything asked is on the broker."""
        self._publisher.close(FLUSH_S)

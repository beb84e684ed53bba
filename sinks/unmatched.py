"""Receipts that name only the provider's own id, kept until the answer that the id came with has been read.

Used by the receipts role: such a receipt may overtake the answer to the call. Pure: the moment is handed in. It gives
up what nobody turns out to have sent.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter

from infra.receipts.notice import KIND, completed
from schemas.records import NO_KEY, Request

PATIENCE_MS: Final = 600_000
"""So long a receipt waits for its message."""
MOST_WAITING: Final = 50_000

LOST: Final = Counter("medpost_receipts_unmatched_total", "Receipts about nobody's message", ["provider"])

Whose = Callable[[str, str], tuple[bytes, int, int] | None]
"""Message id, attempt and replay id of what a provider calls so; None when it is not known (yet)."""


class Unmatched:
    """What waits, by the request's id: the same receipt twice waits once."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, Request] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, request: Request) -> None:
        """A request; one that names its message, or is no receipt, is none of ours."""
        if request.kind == KIND and request.message_id == NO_KEY and request.provider_message_id:
            self._waiting[request.request_id] = request
            if len(self._waiting) > MOST_WAITING:
                LOST.labels(self._waiting.popitem(last=False)[1].provider).inc()

    def match(self, whose: Whose, now_ms: int) -> Iterator[Request]:
        """Those that can be completed now, completed; each once."""
        for request_id, request in list(self._waiting.items()):
            found = whose(request.provider, request.provider_message_id)
            if found is not None:
                del self._waiting[request_id]
                yield completed(request, *found)
            elif request.at < now_ms - PATIENCE_MS:
                del self._waiting[request_id]
                LOST.labels(request.provider).inc()

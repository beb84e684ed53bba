"""The gateway put together: operations bound to what carries them out, the document and its page.

Made by `role` and by tests.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from producers.gateway import asking, cancel, messages, receipts
from producers.gateway.batches import Batches
from producers.gateway.call import Answer, Call
from producers.gateway.conduct import Act, conducted, strays
from producers.gateway.counter import Counter
from producers.gateway.models import Health
from producers.gateway.openapi import document
from producers.gateway.operations import OPERATIONS, Operation
from producers.gateway.page import POLICY, page

Missing = Callable[[], list[str]]


def build(counter: Counter, is_live: Callable[[], bool], missing: Missing) -> web.Application:
    """The application; `missing` says what the process still waits for."""
    acts = {**ACTS, "take_batch": Batches(counter).take, "live": _live(is_live), "ready": _ready(missing)}
    app = web.Application(middlewares=[strays])
    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, conducted(operation, acts[operation.name], counter))
    for operation, act in ((_DOCUMENT, _document()), (_PAGE, _page())):
        app.router.add_route("GET", operation.path, conducted(operation, act, counter))
    return app


ACTS: Final[dict[str, Act]] = {
    "give_token": messages.give_token,
    "take_message": messages.take_message,
    "message": asking.message,
    "message_by_reference": asking.by_reference,
    "message_events": asking.events,
    "backlog": asking.backlog,
    "cancel_message": cancel.cancel,
    "check_receipts": receipts.check_receipts,
    "take_receipts": receipts.take_receipts,
    "take_receipts_there": receipts.take_receipts,
}
_DOCUMENT: Final = Operation(
    name="openapi", method="GET", path="/v1/openapi.json", summary=("", ""), answers={}, wants_token=False
)
_PAGE: Final = Operation(name="docs", method="GET", path="/v1/docs", summary=("", ""), answers={}, wants_token=False)


def _live(is_live: Callable[[], bool]) -> Act:
    async def act(_counter: Counter, _call: Call) -> Answer:
        return Answer(200 if is_live() else 503, Health(is_live(), []))

    return act


def _ready(missing: Missing) -> Act:
    async def act(_counter: Counter, _call: Call) -> Answer:
        waits_for = missing()
        return Answer(503 if waits_for else 200, Health(not waits_for, waits_for))

    return act


def _document() -> Act:
    body = msgspec.json.format(msgspec.json.encode(document()))

    async def act(_counter: Counter, _call: Call) -> Answer:
        return Answer(200, body)

    return act


def _page() -> Act:
    body = page()

    async def act(_counter: Counter, _call: Call) -> Answer:
        return Answer(200, body, {"Content-Security-Policy": POLICY}, "text/html")

    return act

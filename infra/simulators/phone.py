"""The simulated phone: a page that shows what recipients saw on every channel, newest first, as it comes in.

Its routes are added by the server, which lets no stranger in. The page holds all it needs; recipients are starred
before they leave here. It never sends or changes anything.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from aiohttp import web
from msgspec import Struct, structs

from infra.page import policy_of
from infra.simulators.house import House
from infra.simulators.inbox import TAKEN, Entry, is_to, masked

PATH: Final = "/phone"
MESSAGES: Final = "/phone/messages"
SHOWN: Final = 50
SHOWN_MOST: Final = 500
SEARCHED: Final = 20_000
"""So many of the newest calls are looked through: 10 ms when nothing fits, whatever the journal has grown to."""
_PAGE: Final = Path(__file__).with_name("phone.html").read_text("utf-8")
HEADERS: Final = {
    "Content-Security-Policy": policy_of(_PAGE),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Seen(Struct, frozen=True):
    """A message as its recipient saw it; `at` in UTC ms, `fate` what the receipts say: delivered, undelivered or ""."""

    seq: int
    at: int
    channel: str
    provider: str
    to: str
    message_id: str
    title: str
    text: str
    url: str
    segments: int
    fate: str


def seen(house: House, to: str, channel: str, at_ms: int) -> Iterator[Seen]:
    """What was taken for recipients that end in `to`, on `channel` ("": all), newest first, as known at that moment."""
    for entry in _newest(house.inbox.entries):
        if entry.outcome == TAKEN and is_to(entry.recipient, to) and channel in ("", entry.channel):
            yield _seen(house, entry, at_ms)


def _newest(entries: list[Entry]) -> Iterable[Entry]:
    return islice(reversed(entries), SEARCHED)


def _seen(house: House, entry: Entry, at_ms: int) -> Seen:
    report = house.reports.last(entry.seq, at_ms)
    return Seen(
        entry.seq,
        entry.at,
        entry.channel,
        entry.provider,
        masked(entry.recipient),
        entry.message_id,
        entry.title,
        entry.text,
        entry.url,
        entry.segments,
        "" if report is None else "delivered" if report.is_delivered else "undelivered",
    )


def add_routes(app: web.Application, house: House) -> None:
    """`GET /phone`, and `GET /phone/messages?to=&channel=&limit=` behind it."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html", headers=HEADERS)

    async def messages(request: web.Request) -> web.Response:
        asked = request.query
        limit = asked.get("limit", str(SHOWN))
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit) <= SHOWN_MOST):
            return web.json_response({"error": f"limit is a number from 1 to {SHOWN_MOST}"}, status=400)
        found = seen(house, asked.get("to", "").strip(), asked.get("channel", ""), time.time_ns() // 1_000_000)
        told = [structs.asdict(one) for one in islice(found, int(limit))]
        return web.json_response({"messages": told}, headers=HEADERS)

    app.router.add_get(PATH, page)
    app.router.add_get(MESSAGES, messages)

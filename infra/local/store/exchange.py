"""One request's way through the engine and back: bind, run, answer whole or piece by piece.

Called by the front with a handle that is this request's alone. Pieces are fetched when the client has taken the one
before, so a slow reader costs no memory; one that stops reading is cut off. Never retries.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from msgspec import Struct, field

from infra.local.store.asked import Asked
from infra.local.store.engine import Answer, EngineError, Handle, Stream
from infra.local.store.sql import Kind, Statement

STREAMED: Final = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
"""Formats whose pieces join to the whole: no head, no foot."""

SLOW_CLIENT_S: Final = 60.0
"""A client that takes no byte for so long is cut off: it holds one of few handles."""

_STATUS: Final = (
    (404, {46, 47, 50, 56, 60, 63, 73, 75, 81, 115, 336}),
    (400, {6, 26, 27, 36, 38, 41, 42, 43, 53, 57, 62, 69, 72, 117, 271, 386, 427, 456, 457}),
    (403, {192, 193, 194, 497, 516}),
    (413, {161}),
    (415, {89}),
    (501, {48}),
    (503, {202}),
)
"""HTTP status by exception code, after ClickHouse's HTTPHandler (exceptionCodeToHTTPStatus); all else is 500."""

_CONTENT_TYPE: Final = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
}

Call = Callable[..., Awaitable[Any]]
"""Runs a blocking engine call in a thread."""


def status_of(code: int) -> int:
    """The HTTP status of a ClickHouse exception code."""
    return next((status for status, codes in _STATUS if code in codes), 500)


def failure(text: str, code: int, query_id: str) -> web.Response:
    """An error answer as ClickHouse gives it: the text as body, the code in a header."""
    headers = {"X-ClickHouse-Exception-Code": str(code), "X-ClickHouse-Query-Id": query_id}
    if status_of(code) == web.HTTPServiceUnavailable.status_code:
        headers["Retry-After"] = "1"
    return web.Response(status=status_of(code), text=text + "\n", headers=headers)


def exception_block(text: str, tag: str) -> bytes:
    """An exception inside a body that has begun, between the markers that ClickHouse 25.11 brought."""
    raw = text.encode()
    marker = b"__exception__"
    code = tag.encode()
    return b"\r\n%b\r\n%b\r\n%b\n%d %b\r\n%b\r\n" % (marker, code, raw, len(raw) + 1, code, marker)


class Exchange(Struct):
    """A request with everything it needs: how to call the engine, its handle, its parts, its data, the time zone."""

    call: Call
    handle: Handle
    asked: Asked
    statement: Statement
    file: Path | None
    timezone: str
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    """Marks an exception inside a body that has begun; nobody who fills tables can guess it."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Runs it; raises EngineError as long as nothing has been sent."""
        began = time.perf_counter()
        await self.call(self.handle.bind, self.asked.settings, self.asked.database)
        is_read = self.statement.kind is Kind.READ
        if is_read and self.output in STREAMED and not self.asked.is_whole:
            return await self._streamed(request)
        answer = await self._whole()
        summary = {**answer.summary, "elapsed_ns": str(int((time.perf_counter() - began) * 1e9))}
        return web.Response(body=answer.body, headers=self._headers() | {"X-ClickHouse-Summary": json.dumps(summary)})

    @property
    def output(self) -> str:
        """The format of the result."""
        return self.statement.format or self.asked.default_format

    async def _whole(self) -> Answer:
        if self.file is not None:
            loaded: Answer = await self.call(self.handle.load, self.statement, self.file, self.asked.parameters)
            return loaded
        answer: Answer = await self.call(self.handle.query, self.statement.text, self.output, self.asked.parameters)
        return answer if answer.body else Answer(await self._empty(), answer.summary)

    async def _empty(self) -> bytes:
        """What stands for a result without rows."""
        if self.output != "Native":
            return b""
        header: bytes = await self.call(self.handle.empty_native, self.statement, self.asked.parameters)
        return header

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        stream: Stream = await self.call(self.handle.stream, self.statement.text, self.output, self.asked.parameters)
        try:
            piece: bytes = await self.call(stream.fetch)
            if piece:
                return await self._send(request, stream, piece)
        finally:
            await self.call(stream.close)
        return web.Response(body=await self._empty(), headers=self._headers())

    async def _send(self, request: web.Request, stream: Stream, piece: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._headers())
        await response.prepare(request)
        try:
            while piece:
                await asyncio.wait_for(response.write(piece), SLOW_CLIENT_S)
                piece = await self.call(stream.fetch)
            await response.write_eof()
        except EngineError as problem:  # a chunked body that breaks off is a failure at every client
            await response.write(exception_block(str(problem), self.tag))
            _cut(request)
        except (TimeoutError, ConnectionError):
            _cut(request)
        return response

    def _headers(self) -> dict[str, str]:
        return {
            "X-ClickHouse-Query-Id": self.asked.query_id,
            "X-ClickHouse-Format": self.output,
            "X-ClickHouse-Exception-Tag": self.tag,
            "X-ClickHouse-Timezone": self.timezone,
            "X-ClickHouse-Server-Display-Name": "medpost",
            "Content-Type": _CONTENT_TYPE.get(self.output, "application/octet-stream"),
        }


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()

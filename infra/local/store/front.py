"""ClickHouse's HTTP interface over the embedded engine: one request, one handle, results streamed as they come.

Called by the program entry. Bounded everywhere: bodies (see spool), handles, the line of those who wait for one,
query time (engine settings) and the time a client may take to read. Never keeps a session; never binds beyond the
loopback.
"""

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from infra.analyst import LIMITS, Account
from infra.local.store import guard
from infra.local.store.asked import ANALYST, READER, Asked, read_request
from infra.local.store.engine import EngineError, Handle
from infra.local.store.exchange import Exchange, failure
from infra.local.store.spool import Spool, unpacked

HANDLES: Final = {"full": 4, "get": 1, "reader": 2, "analyst": 2}
READONLY: Final = {"full": 0, "get": 2, "reader": 1, "analyst": 1}
"""Per kind of client: handles, hence queries at a time, and the engine's `readonly`; a GET never writes."""
WAITING: Final = 64

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Line:
    """Handles of one kind, and a bounded line of those who wait for one."""

    def __init__(self, handles: list[Handle]) -> None:
        self._free: asyncio.LifoQueue[Handle] = asyncio.LifoQueue()
        self._waiting = 0
        self.handles = handles
        for handle in handles:
            self._free.put_nowait(handle)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Handle]:
        """A handle for the length of one request; raises RefusedError when too many wait already."""
        if self._free.empty() and self._waiting >= WAITING:
            raise guard.RefusedError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "too many queries wait already")
        self._waiting += 1
        try:
            handle = await self._free.get()
        finally:
            self._waiting -= 1
        try:
            yield handle
        finally:
            self._free.put_nowait(handle)


class Front:
    """The running store: engine handles, their threads, and the spool."""

    def __init__(self, path: Path, analyst: Account | None = None) -> None:
        """Opens the engine; raises EngineError when it cannot be. Without an account the analyst is refused."""
        self._analyst = analyst
        limits = {"analyst": LIMITS}
        self._lines = {
            kind: Line([Handle(path, READONLY[kind], limits.get(kind)) for _ in range(count)])
            for kind, count in HANDLES.items()
        }
        first = self._lines["full"].handles[0]
        self._timezone = first.query("SELECT timezone()").body.decode().strip()
        self._spool = Spool(path)
        self._threads = ThreadPoolExecutor(sum(HANDLES.values()), "engine")

    def close(self) -> None:
        """Closes every handle and with the last one the engine, which writes what it holds."""
        for line in self._lines.values():
            for handle in line.handles:
                handle.close()
        self._spool.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Runs what one HTTP request asks."""
        query_id = str(uuid.uuid4())
        try:
            asked = read_request(request.query, request.headers, query_id)
            return await self._run(request, asked)
        except (guard.RefusedError, EngineError) as problem:
            return failure(str(problem), problem.code, query_id)

    async def _run(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        if request.content_type == "multipart/form-data":
            raise guard.RefusedError(48, "NOT_IMPLEMENTED", "external data is not supported here")
        body = unpacked(request.content.iter_chunked(1 << 18), request.headers.get("Content-Encoding", ""))
        statement, file = await self._spool.take(asked.query, body)
        try:
            if not statement.verb and not statement.text.strip():
                return web.Response(text="Ok.\n")  # as a server greets whoever opens its address
            kind = self._kind(asked, request.method)
            guard.check(statement, may_write=kind == "full")
            async with self._lines[kind].one() as handle:
                return await Exchange(self.call, handle, asked, statement, file, self._timezone).answer(request)
        finally:
            if file is not None:
                file.unlink(missing_ok=True)

    def _kind(self, asked: Asked, method: str) -> str:
        """The kind of client; raises RefusedError for an analyst whose password is not the one in the file."""
        if asked.user == ANALYST:
            known = self._analyst.password if self._analyst is not None else ""
            if not known or not secrets.compare_digest(asked.password.encode(), known.encode()):
                raise guard.RefusedError(516, "AUTHENTICATION_FAILED", f"{ANALYST}: wrong password, or none")
            return "analyst"
        return "reader" if asked.user == READER else "get" if method != "POST" else "full"

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Runs a blocking engine call in a thread; a cancelled request still waits for its call to end."""
        call = asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait([call])
            raise


def application(front: Front) -> web.Application:
    """The web application of an opened front; stopping it waits for running requests, then closes the engine."""
    app = web.Application()

    async def ping(_: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def close(_: web.Application) -> None:
        front.close()

    app.router.add_get("/ping", ping)
    app.router.add_route("*", "/", front.answer)
    app.on_cleanup.append(close)
    return app

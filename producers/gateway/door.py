"""Who may connect: how many at once, how long a connection may say nothing, how large its headers may be.

Called by `role`. A connection too many is told 503 and closed; one that sends its headers too slowly, or nothing, or
does not read its answer, is closed; what is no HTTP gets an answer in our words.
"""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from producers.gateway.conduct import answer_to, response
from producers.gateway.problems import refused
from schemas.errors import Reason

LINGER_S: Final = 1.0
LINE_BYTES: Final = 8_190
HEADERS: Final = 64
BACKLOG: Final = 1_024

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


class Gate(web.RequestHandler):
    """One connection; its parse errors are answered as problems."""

    __slots__ = ()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; a client that does not read it for as long as it may be silent is cut."""
        try:
            async with asyncio.timeout(self.keepalive_timeout):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.force_close()
            return resp, True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer to what could not be read, or could not be answered; nothing of it is logged."""
        del exc, message
        code = Reason.DECODE_ERROR if status < 500 else Reason.INTERNAL
        told = ("无法解析的 HTTP 请求", "this is no HTTP request that can be read") if status < 500 else ("", "")
        made = response(answer_to(refused(code, *told), "none"), request, {})
        made.force_close()
        return made


class _Full(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so, and hang up."""
        link = cast("asyncio.Transport", transport)
        link.write(_FULL)
        link.close()


class Door:
    """Listens on one address; at most `most` connections at once, none of them silent for `idle_s`."""

    def __init__(self, app: web.Application, most: int, idle_s: float) -> None:
        self._runner = web.AppRunner(app, access_log=None)
        self._most = most
        self._idle_s = idle_s
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Begin to listen; the port. Raises OSError when it is taken."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port, backlog=BACKLOG, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    def _protocol(self) -> asyncio.Protocol:
        server: Any = self._runner.server
        if len(server.connections) >= self._most:
            return _Full()
        return Gate(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._idle_s,
            lingering_time=LINGER_S,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
            auto_decompress=False,
            access_log=cast("Any", None),
        )

    async def close(self, grace_s: float) -> None:
        """Take no more connections, and let the requests under way end within `grace_s`."""
        if self._server is not None:
            self._server.close()
        server: Any = self._runner.server
        if server is not None:
            await server.shutdown(grace_s)
        await self._runner.cleanup()

"""HTTP for one channel in one lane: its own connections, a limit of them, a timeout on every call.

Used by `sinks.caller`. One call is one request: it is never repeated, and redirects are not followed.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from infra.clock import Clock
from schemas.errors import Permanent, Reason, Transient
from sinks.calls import Answer, Request, UnknownOutcome

if TYPE_CHECKING:
    import aiohttp

ANSWER_LIMIT_BYTES: Final = 65_536
"""Longest answer that is read; no provider's answer to one message is near it."""
KEEP_ALIVE_S: Final = 10.0
"""Shorter than servers keep idle connections (nginx: 75 s, vendors: from 15 s), so that we seldom use a dying one."""
CONNECT_SHARE: Final = 0.5
"""Part of a call's timeout that connecting may take: running out of it proves that nothing was sent."""


class HttpCaller:
    """The connections."""

    def __init__(self, timeout_ms: int, max_connections: int, clock: Clock) -> None:
        self._timeout_s = timeout_ms / 1000
        self._clock = clock
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            connect_s = self._timeout_s * CONNECT_SHARE
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, connect=connect_s, sock_connect=connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                trust_env=False,
            )
        return self._session

    async def call(self, request: Request) -> Answer:
        """One call, never repeated, redirects not followed. See `sinks.calls.Calls`."""
        import aiohttp
        from yarl import URL

        try:
            async with self._opened().request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            ) as response:
                body = await _read(response.content)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, body, self._clock.now_ms())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as problem:
            raise Transient(Reason.TRANSIENT, f"connecting: {type(problem).__name__}") from None
        except aiohttp.InvalidURL:
            raise Permanent(Reason.CONFIG_MISSING, "base_url is not a URL that can be called") from None
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as problem:
            raise UnknownOutcome(_how(problem)) from None

    async def close(self) -> None:
        """Close all connections; calls under way are cut."""
        if self._session is not None:
            await self._session.close()


async def _read(stream: Any) -> bytes:
    """The body, at most ANSWER_LIMIT_BYTES of it."""
    body = bytearray()
    async for piece in stream.iter_any():
        body += piece
        if len(body) > ANSWER_LIMIT_BYTES:
            break
    return bytes(body[:ANSWER_LIMIT_BYTES])


def _how(problem: BaseException) -> str:
    """How a call ended without an answer, as a word for the trace."""
    import aiohttp

    if isinstance(problem, TimeoutError):
        return "timeout"
    return "not_http" if isinstance(problem, aiohttp.ClientResponseError) else "connection_cut"

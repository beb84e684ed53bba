"""The one door through which channels call their providers: over HTTP or SMTP, whichever the call is made for.

Made by the outlet, one for each configuration of a channel in a lane. Makes one call at a time of asking, and never
a second one by itself.
"""

from uuid import uuid4

from infra.clock import Clock
from sinks.calls import Answer, Mail, Request, Stamp
from sinks.http_caller import HttpCaller
from sinks.smtp_caller import SmtpCaller


class Caller:
    """Calls with a timeout, over at most so many connections."""

    def __init__(self, timeout_ms: int, max_connections: int, clock: Clock) -> None:
        self._clock = clock
        self._http = HttpCaller(timeout_ms, max_connections, clock)
        self._smtp = SmtpCaller(timeout_ms, clock)

    def stamp(self) -> Stamp:
        """This moment, and a random nonce."""
        return Stamp(self._clock.now_ms(), uuid4().hex)

    async def call(self, request: Request | Mail) -> Answer:
        """One call, never repeated. See `sinks.calls.Calls`."""
        if isinstance(request, Mail):
            return await self._smtp.call(request)
        return await self._http.call(request)

    async def close(self) -> None:
        """Close all connections; calls under way are cut."""
        await self._http.close()
        self._smtp.close()

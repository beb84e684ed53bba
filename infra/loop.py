"""The event loop of stream processes: uvloop's where it is installed, with a short farewell on TLS connections.

Called by the worker. It changes how connections end and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

GOODBYE_S: Final = 0.5
"""Before it says goodbye in TLS uvloop goes on reading, up to 30 s; a broker that was just asked for records is silent.

So every reader took longer than it may to stop (uvloop issue 471; measured with uvloop 0.23).
"""

try:
    import uvloop
except ImportError:  # pragma: no cover - not on this platform
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:

    class _Loop(uvloop.Loop):
        """One that gives a TLS connection so long to end, unless it is told otherwise."""

        async def create_connection(self, *args: Any, **named: Any) -> Any:
            if named.get("ssl"):
                named = {"ssl_shutdown_timeout": GOODBYE_S, **named}
            return await super().create_connection(*args, **named)

    new_event_loop = _Loop

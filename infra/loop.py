"""The event loop of long processes, uvloop's where it is installed, and how seldom they look for garbage.

Called by the worker; the simulators take the second half of it. It changes how TLS connections end and nothing else
about them.
"""

import asyncio
import gc
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


def spare_collections() -> None:
    """Leave out of every garbage collection what was made by importing, and look less often at the rest.

    Records and rows cannot form cycles, but the lists in them are counted: collections took a tenth of settle's time
    with 60,000 open messages (bench `settle`), and stopped the simulators for 100 to 200 ms at 30,000 calls.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)

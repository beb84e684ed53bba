"""Who may come in at the simulators' doors: nobody whom a page elsewhere sends.

Wraps every route of the server. They listen on the loopback, but a browser on this machine reaches that, and a page
that it shows may have led its own name here (DNS rebinding), or post from where it stands. So the name asked for has to
be this machine's own, and the page that asks, if one does, has to be ours. It never looks at what is asked.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
REFUSAL: Final = "模拟渠道商只在本机开放：请用 http://127.0.0.1 加端口\n"
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def guard(more_names: Collection[str] = ()) -> Middleware:
    """A middleware that answers strangers 403; `more_names`: under which other names we are called on purpose."""
    names = OWN_NAMES.union(more_names)

    @web.middleware
    async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_stranger(request.host, request.headers.get("Origin"), names):
            return web.Response(status=403, text=REFUSAL, headers=HEADERS)
        return await handler(request)

    return refuse_strangers


def is_stranger(host: str, origin: str | None, names: Collection[str]) -> bool:
    """Whether a request asks for another name than ours, or comes from a page that is not ours (`host` with port).

    Browsers name the page in `Origin` with every POST, and with every request to elsewhere (Fetch, 3.2).
    """
    return _name_in(f"//{host}") not in names or (origin is not None and origin.partition("://")[2] != host)


def _name_in(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None

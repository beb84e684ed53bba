"""A front that speaks TLS and asks for a login before a store that does neither, for tests; on a free loopback port.

It answers a wrong login as ClickHouse does, and hands on the rest. It proves what our client sends, not what a server
makes of it.
"""

import asyncio
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import ClientSession, web
from yarl import URL

from infra.local.ports import LOOPBACK, any_port
from tests.certificates import Signed

BODY_BYTES = 64 << 20
REFUSED = "Code: 516. DB::Exception: {}: Authentication failed. (AUTHENTICATION_FAILED)\n"


@contextmanager
def tls_front(store_port: int, shown: Signed, user: str, password: str) -> Iterator[int]:
    """The port where that store is reached over TLS, with that certificate and by that user alone."""
    wanted = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    port, is_open, stopping = any_port(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != wanted:
            return web.Response(status=403, text=REFUSED.format(user), headers={"X-ClickHouse-Exception-Code": "516"})
        url = URL(f"http://{LOOPBACK}:{store_port}{request.raw_path}", encoded=True)
        handed = {name: value for name, value in request.headers.items() if name.startswith(("Content-Type", "X-Cl"))}
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(request.method, url, data=await request.read(), headers=handed) as answer,
        ):
            told = {name: value for name, value in answer.headers.items() if name.startswith(("Content-Type", "X-Cl"))}
            return web.Response(status=answer.status, body=await answer.read(), headers=told)

    async def serve() -> None:
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_route("*", "/{rest:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, port, ssl_context=context).start()
        is_open.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.Runner(loop_factory=lambda: loop).run(serve()))
    thread.start()
    assert is_open.wait(10)
    yield port
    loop.call_soon_threadsafe(stopping.set)
    thread.join(10)
    loop.close()

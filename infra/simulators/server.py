"""The simulated providers as one HTTP server on the loopback, with admin routes under `/sim`.

Started by the supervisor (`medpost run simulators`), by tests, or alone: `python -m infra.simulators.server --port N`.
The simulated mail server listens on the port after that, in the same process.
It can hang, cut the socket after reading, answer garbage or slowly, as scripts or magic recipients say.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from aiohttp.typedefs import Handler

from infra import settings as settings_module
from infra.local.ports import LOOPBACK, any_port
from infra.loop import spare_collections
from infra.settings import Settings
from infra.simulators import phone, smtp_bounces, smtp_server
from infra.simulators.exchange import Call, Reply
from infra.simulators.house import PROVIDERS, House, Push
from infra.simulators.inbox import TAKEN, Journal
from infra.simulators.strangers import guard
from schemas.errors import UnavailableError

HANG_S: Final = 30.0
GARBAGE: Final = b"\x00\xff<html>{not an answer"
PAGE: Final = 1_000
FILTERS: Final = ("channel", "provider", "recipient", "key", "message_id", "outcome")
TELLABLE: Final = ("accounts", "templates", "script", "limits", "receipts", "reset")
PUSH_EVERY_S: Final = 0.05
PUSH_TIMEOUT_S: Final = 5.0
PUSH_AGAIN_S: Final = (1.0, 5.0, 10.0)
"""A vendor waits so many minutes, not seconds, before it pushes again what was not taken; then never."""


def journal_path(settings: Settings) -> Path:
    """Where the simulators keep what they received."""
    return settings.home / "simulators" / "journal.jsonl"


def build(house: House, more_names: Collection[str] = ()) -> web.Application:
    """The application over a house; `more_names`: names of this machine beside the loopback's."""
    app = web.Application(middlewares=[guard(more_names)])
    app[POSTMAN] = Postman(house)
    app.cleanup_ctx.append(_pushing)
    for path in PROVIDERS.keys() - {smtp_server.PATH}:
        app.router.add_route("*", f"/{path}{{rest:(/.*)?}}", _vendor(house, path))
    app.router.add_get("/ping", _ping)
    phone.add_routes(app, house)
    app.router.add_get("/sim/messages", _messages(house))
    app.router.add_get("/sim/counts", _counts(house))
    for kind in TELLABLE:
        app.router.add_post(f"/sim/{kind}", _tell(house, kind))
    return app


class Postman:
    """Posts receipts to whoever was named, and again where they are not taken."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._session: ClientSession | None = None
        self._again: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Push what is due until cancelled."""
        async with ClientSession(timeout=ClientTimeout(PUSH_TIMEOUT_S)) as self._session:
            while True:
                await asyncio.sleep(PUSH_EVERY_S)
                await self.push()

    async def push(self) -> None:
        """Post every receipt that is due now."""
        await asyncio.gather(*map(self._push_one, self._house.pushes(time.time_ns() // 1_000_000)))

    async def _push_one(self, push: Push) -> None:
        if not await self._is_taken(push):
            task = asyncio.get_running_loop().create_task(self._push_again(push))
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    async def _is_taken(self, push: Push) -> bool:
        if push.url.startswith("smtp:"):
            return await asyncio.to_thread(smtp_bounces.post, push.url, push.body)
        if self._session is None:
            return False
        try:
            headers = {"content-type": "application/json; charset=utf-8"}
            async with self._session.post(push.url, data=push.body, headers=headers) as answer:
                return answer.status == 200
        except (ClientError, TimeoutError, OSError):
            return False

    async def _push_again(self, push: Push) -> None:
        for pause_s in PUSH_AGAIN_S:
            await asyncio.sleep(pause_s)
            if await self._is_taken(push):
                return


POSTMAN: Final = web.AppKey("postman", Postman)


async def _pushing(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(app[POSTMAN].work())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _vendor(house: House, path: str) -> Handler:
    """Requests to one provider."""

    async def handle(request: web.Request) -> web.StreamResponse:
        fate = house.receive(path, await _call_of(request))
        if fate.is_told_first:
            await request.app[POSTMAN].push()
        kind = fate.action.kind
        if kind in ("hang", "slow"):
            await asyncio.sleep(fate.action.ms / 1000 if fate.action.ms else HANG_S)
        if kind in ("hang", "cut") and request.transport is not None:
            request.transport.abort()
        if kind == "garbage":
            return web.Response(status=200, body=GARBAGE)
        return _response(fate.reply)

    return handle


async def _call_of(request: web.Request) -> Call:
    raw = request.rel_url
    return Call(
        request.method,
        raw.raw_path,
        raw.raw_query_string,
        {name.lower(): value for name, value in request.headers.items()},
        await request.read(),
        time.time_ns() // 1_000_000,
    )


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _messages(house: House) -> Handler:
    """`GET /sim/messages?channel=&recipient=&since=&after=&limit=`: what was taken (`outcome=all` for all)."""

    async def handle(request: web.Request) -> web.Response:
        asked = request.query
        wanted = {name: asked[name] for name in FILTERS if asked.get(name)}
        wanted.setdefault("outcome", TAKEN)
        if wanted["outcome"] == "all":
            del wanted["outcome"]
        try:
            since, after, limit = (int(asked.get(*pair)) for pair in (("since", 0), ("after", 0), ("limit", PAGE)))
        except ValueError:
            return web.json_response({"error": "since, after and limit are numbers"}, status=400)
        found = house.inbox.find(wanted, since, after, limit)
        return web.json_response({"messages": found, "next": found[-1]["seq"] if found else after})

    return handle


def _counts(house: House) -> Handler:
    """`GET /sim/counts`."""

    async def handle(_: web.Request) -> web.Response:
        return web.json_response(house.inbox.counts())

    return handle


def _tell(house: House, kind: str) -> Handler:
    """`POST /sim/<kind>` with one JSON object, or a list of them."""

    async def handle(request: web.Request) -> web.Response:
        try:
            told: Any = await request.json() if request.can_read_body else {}
            for one in told if isinstance(told, list) else [told]:
                house.tell(kind, one)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return web.json_response({"error": f"{kind}: {problem}"}, status=400)
        return web.json_response({"ok": True})

    return handle


async def serve(
    journal: Path,
    port: int,
    on_listening: Callable[[int], None],
    stopping: asyncio.Event,
    more_names: Collection[str] = (),
) -> None:
    """Listen on 127.0.0.1 until `stopping`, for mail on the port after; port 0 takes free ones, told to `on_listening`.

    Raises UnavailableError when a port is taken or the journal cannot be written.
    """
    try:
        book = Journal(journal)
    except OSError as problem:
        raise UnavailableError(f"{journal}: {problem.strerror}", "make MEDPOST_HOME writable") from problem
    house = House(book)
    runner = web.AppRunner(build(house, more_names), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = port or any_port(2)
    try:
        await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
        mail = await smtp_server.listen(house, port + 1)
    except OSError as problem:
        await runner.cleanup()
        raise UnavailableError(f"port {port} or {port + 1}: {problem.strerror}", "stop what listens there") from problem
    on_listening(port)
    await stopping.wait()
    mail.close()
    await runner.cleanup()
    book.close()


def run(settings: Settings, port: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT; blocks. Without `port` that of MEDPOST_SIMULATORS; 0 takes a free one."""
    told = urlsplit(settings.simulators)
    wanted = (told.port or 0) if port is None else port
    spare_collections()
    # Not uvloop: libuv takes one new connection per turn of the loop, so that on a busy machine they wait for seconds
    # while connections that stand are served; calls were recorded 12 s after they had been made, and given up.
    asyncio.run(_until_signalled(journal_path(settings), wanted, [told.hostname] if told.hostname else []))
    return 0


async def _until_signalled(journal: Path, port: int, more_names: Collection[str]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await serve(journal, port, _announce, stopping, more_names)


def _announce(port: int) -> None:
    print(f"simulators listening on http://{LOOPBACK}:{port}", flush=True)  # noqa: T201 - the line its starter reads


def main() -> None:
    """The command line: `--port N` (0: a free one)."""
    parser = argparse.ArgumentParser(prog="infra.simulators.server", description="Simulated message providers.")
    parser.add_argument("--port", type=int, default=None)
    try:
        sys.exit(run(settings_module.load(), parser.parse_args().port))
    except UnavailableError as problem:
        sys.exit(f"{problem.detail}; {problem.remedy}")


if __name__ == "__main__":
    main()
